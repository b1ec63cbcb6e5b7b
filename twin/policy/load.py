"""From a policy's file to its class: each file is loaded once, by its digest."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from twin import content
from twin.errors import InputError, Problem
from twin.policy.base import Policy
from twin.scenario.check import problems_of
from twin.scenario.spec import RESERVED


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy's class and where it came from."""

    name: str
    path: Path
    digest: str
    policy: type[Policy]

    @property
    def summary(self) -> str:
        """First line of its docstring."""
        return (inspect.getdoc(self.policy) or "").split("\n")[0]

    def make(self, parameters: dict[str, Any], where: str) -> Policy:
        """Return a policy with checked `parameters`.

        Raises InputError, with `where` before each parameter's name.
        """
        try:
            return self.policy(**parameters)
        except ValidationError as error:
            known = self.policy.parameters().model_fields
            raise InputError(
                problems_of(error, prefix=where, known={(): sorted({*known, *RESERVED})})
            ) from None


def load(path: Path, where: str = "") -> PolicySource:
    """Return the one policy that the file at `path` defines.

    Raises InputError where the file cannot be run or does not define exactly one policy.
    """
    digest = content.digest(path)
    module = _module(path, f"twin_policy_{digest[:16]}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Policy)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = ", ".join(policy.__name__ for policy in found) or "none"
        what = f"a policy file defines one subclass of twin.Policy; this one defines: {names}"
        raise InputError(Problem(what, where, path))
    _check_parameters(found[0], path, where)
    return PolicySource(path.stem, path, digest, found[0])


def _module(path: Path, name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses, type hints and pickling look the module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[name]
        raise
    except BaseException as error:  # a policy file may raise anything, SystemExit included
        del sys.modules[name]
        raise InputError(
            Problem(f"cannot be loaded: {describe(error)}", file=path, line=_line(error, path))
        ) from None
    return module


def _check_parameters(policy: type[Policy], path: Path, where: str) -> None:
    try:
        model = policy.parameters()
        model()
    except ValidationError as error:
        name = ".".join(str(part) for part in error.errors()[0]["loc"])
        what = f"the default of parameter '{name}' is not valid"
    except (TypeError, NameError) as error:
        what = str(error)
    else:
        reserved = sorted(set(model.model_fields) & set(RESERVED))
        if not reserved:
            return
        what = f"'{reserved[0]}' is reserved and cannot be a parameter"
    raise InputError(Problem(f"policy {policy.__name__}: {what}", where, path))


def describe(error: BaseException) -> str:
    """Return ``Type: message`` on one line."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _line(error: BaseException, path: Path) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    return line_in(error, path)


def line_in(error: BaseException, path: Path | str) -> int | None:
    """Return the innermost line of the file at `path` that `error` passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)
