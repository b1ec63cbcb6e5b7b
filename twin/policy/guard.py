"""Tells whether what ran has replaced code: that of another policy, or of the twin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from twin.core.errors import RunError
from twin.policy import base, services
from twin.policy.base import History, KpiView, Observation, Policy

Owner = type | ModuleType


@contextmanager
def unchanged_code(*others: Owner) -> Iterator[None]:
    """Raise RunError where the functions of the policies' classes are others after the block.

    Likewise those of `others`, of NumPy, and of what policies are shown.
    """
    owners: list[Owner] = [np, base, services, History, KpiView, Observation, *others]
    before = {owner: _code(owner) for owner in (*owners, Policy, *_defined(Policy))}
    yield
    for owner, code in before.items():
        after = _code(owner)
        # A class may keep what it likes under names of its own, but hide nothing that it inherits.
        inherited = {name for kind in getattr(owner, "__mro__", ())[1:] for name in vars(kind)}
        names = {*code, *(inherited & after.keys())}
        changed = sorted(name for name in names if code.get(name) is not after.get(name))
        if changed:
            where = f"{owner.__name__}.{changed[0]}"
            raise RunError(f"{where} was replaced while policies ran: no result can be trusted")


def _defined(kind: type) -> Iterator[type]:
    subclasses: list[type] = kind.__subclasses__()
    for each in subclasses:
        yield each
        yield from _defined(each)


def _code(owner: Owner) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(owner).items()
        if callable(value) or isinstance(value, property | classmethod | staticmethod)
    }
