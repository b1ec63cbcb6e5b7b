"""One policy has one look, a colour and dashes, in every picture of every report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

from twin.report.style import DASHES, POLICY_COLOURS

LOOKS: Final = len(POLICY_COLOURS) * len(DASHES)
"""How many looks there are: that of number i has colour i modulo their number."""

_SHIPPED: Final = (
    "static_mean2sigma", "static_p95", "bilstm", "conformal", "rolling_max", "oracle",
    "quantile", "percentile_decay", "forecast", "cost_aware", "last_value", "seasonal_max",
    "blend", "static_percentile",
)  # fmt: skip
"""Shipped policies by the number of their look: those that are often compared differ in colour."""


def looks_of(policies: Iterable[str]) -> dict[str, int]:
    """Return the number of each policy's look, which depends on its name.

    A name that is not shipped has the look that its digest says. Where two policies of a report
    would look the same, the later one by name takes the next that is free.
    """
    names = set(policies)
    taken: dict[str, int] = {name: i for i, name in enumerate(_SHIPPED) if name in names}
    for name in sorted(names - set(_SHIPPED)):
        first = crc32(name.encode()) % LOOKS
        free = (look for i in range(LOOKS) if (look := (first + i) % LOOKS) not in taken.values())
        taken[name] = next(free, first)
    return taken


def colour_of(look: int) -> str:
    """Return the colour of a look."""
    return POLICY_COLOURS[look % len(POLICY_COLOURS)]


def dashes_of(look: int) -> str:
    """Return the dashes of a look, as SVG writes them; empty for a solid line."""
    return DASHES[look // len(POLICY_COLOURS) % len(DASHES)]
