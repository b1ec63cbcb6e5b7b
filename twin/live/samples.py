"""Samples as they come: what every format of telemetry is read into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.errors import TwinError

KPI = "internet"
"""The KPI of a sample that names none: the demand."""


class BacklogError(TwinError):
    """More samples wait than the twin holds; whoever sends them tries again later."""


class NotWrittenError(TwinError):
    """The state's disk took nothing, so that nothing was acknowledged; it can be tried again."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in the order in which they came: a column each, all of one length.

    Names are kept once: `links` and `kpis` are those that occur, and a sample has their numbers.
    """

    links: tuple[str, ...]
    kpis: tuple[str, ...]
    link: Ints
    """Of each sample, the number of its link among `links`."""
    kpi: Ints
    """Of each sample, the number of its KPI among `kpis`."""
    time_ms: Ints
    """Milliseconds since 1970-01-01T00:00Z."""
    values: Floats
    """In the unit of the telemetry, as sent."""

    @classmethod
    def of(
        cls,
        links: Sequence[str],
        times_s: Sequence[float],
        values: Sequence[float],
        kpis: Sequence[str] | None = None,
    ) -> Self:
        """Return samples of columns: names of links, seconds since 1970 in UTC, values, KPIs."""
        link_names, link = _numbered(links)
        named = [KPI] * len(links) if kpis is None else kpis
        kpi_names, kpi = _numbered(named)
        times = np.rint(np.asarray(times_s, dtype=np.float64) * 1_000).astype(np.int64)
        return cls(link_names, kpi_names, link, kpi, times, np.asarray(values, dtype=np.float64))

    def __len__(self) -> int:
        return len(self.values)


def _numbered(names: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """Return the names that occur, and of each entry the number of its name."""
    numbers: dict[str, int] = {}
    column = [numbers.setdefault(name, len(numbers)) for name in names]
    return tuple(numbers), np.array(column, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of samples that were sent; it is on disk."""

    outcomes: Mapping[str, int]
    """Samples by outcome: `taken`, `late`, `duplicate`, `conflicting`, `too_late`, `future`,
    `negative`, `not_a_number`, `unknown_link`, `unknown_kpi`."""
    unknown: tuple[str, ...] = ()
    """Links and KPIs that the twin does not know, at most 20 of them."""

    @property
    def kept(self) -> int:
        """Number of samples that count: those in time, and late ones that change the account."""
        return self.outcomes.get("taken", 0) + self.outcomes.get("late", 0)

    def as_dict(self) -> dict[str, object]:
        """Return it as a reply to whoever sent the samples."""
        return {"samples": dict(self.outcomes), "unknown": list(self.unknown)}
