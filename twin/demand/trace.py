"""A trace: the KPIs of every link on one regular time grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twin.core.units import counted
from twin.demand.frame import ORIGIN, read_frame
from twin.demand.gaps import ArrayFeed, Gaps, known

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Trace:
    """KPIs of several links at regular times.

    A sample at time t is the mean over [t, t + tick). Missing samples are NaN. Arrays are
    float64 [samples, links], C-contiguous and read-only; `internet` and `downstream` are in
    Mbit/s.
    """

    links: tuple[str, ...]
    kpis: Mapping[str, NDArray[np.float64]]
    tick_s: int
    starts: datetime | None = None
    """Time of the first sample where it is known; else no hour of the day is."""
    origin: str = ""
    """Where the trace comes from, as reports name it."""
    digest: str = ""
    """SHA-256 of the source files' bytes (of the generator's parameters, for a synthetic one)."""
    repairs: tuple[str, ...] = field(default=())
    """What was repaired while reading, a sentence each."""
    gaps: Mapping[str, Gaps] = field(default_factory=dict)
    """Samples of each KPI that were interpolated, and when that could be known."""
    timezone: str | None = None
    """Whose clocks show its times, where one is stated; `starts` is in UTC then."""
    notes: tuple[str, ...] = ()
    """How it was estimated or generated, a sentence each; nothing for one that was read."""
    warnings: tuple[str, ...] = ()
    """What may be wrong with it, a sentence each."""
    measured: int | None = None
    """Samples before those that were added to extend the trace; None where none were."""
    new_flows: int = 0
    """How many flows at the end of `links` carry nothing, for events to bring demand to."""

    def __post_init__(self) -> None:
        shape = (len(next(iter(self.kpis.values()))), len(self.links))
        for name, values in self.kpis.items():
            if values.shape != shape:
                raise ValueError(f"KPI {name!r} has shape {values.shape}, not {shape}")
            values.setflags(write=False)
        object.__setattr__(self, "kpis", MappingProxyType(dict(self.kpis)))

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        unit: str = "Mbit/s",
        columns: Mapping[str, str] | None = None,
        tick: str | None = None,
    ) -> Trace:
        """Return the trace that a DataFrame holds.

        Times are its index or its column `time`: dates, or seconds. The other columns are links;
        or, where one is called `link` or `internet`, the frame is long, as a trace file.
        `columns` renames: our name of a column to the frame's. `tick` is the length of an
        interval, such as ``5min``, by default the frame's own step; finer samples are averaged.
        What is repaired, and what is refused, is as for a file. Raises InputError.
        """
        links, tick_s, ticks, digest = read_frame(frame, unit, columns, tick)
        kpis, gaps, repairs, starts = ticks
        return cls(links, kpis, tick_s, starts, ORIGIN, digest, repairs, gaps)

    def __reduce__(self) -> tuple[Any, ...]:
        return Trace, self.fields

    @property
    def fields(self) -> tuple[Any, ...]:
        """What another like it is made with, all of it fit to be pickled."""
        # A mapping proxy cannot be pickled.
        series = (self.links, dict(self.kpis), self.tick_s, self.starts)
        told = (
            self.repairs,
            dict(self.gaps),
            self.timezone,
            self.notes,
            self.warnings,
            self.measured,
            self.new_flows,
        )
        return *series, self.origin, self.digest, *told

    def __deepcopy__(self, memo: dict[int, Any]) -> Trace:
        # Nothing here ever changes.
        return self

    def of_links(self, positions: Sequence[int]) -> Trace:
        """Return the trace of some of its links, by their positions, in that order."""
        names = tuple(self.links[position] for position in positions)
        kpis = {name: np.ascontiguousarray(v[:, list(positions)]) for name, v in self.kpis.items()}
        gaps = {name: gaps.of_series(positions) for name, gaps in self.gaps.items()}
        return replace(self, links=names, kpis=kpis, gaps=gaps, new_flows=0)

    def with_flows(self, names: Sequence[str]) -> Trace:
        """Return the trace with more flows, which carry nothing."""
        nothing = np.zeros((self.samples, len(names)))
        kpis = {name: np.hstack([values, nothing]) for name, values in self.kpis.items()}
        shown = ", ".join(f"'{name}'" for name in names[:3]) + (", ..." if len(names) > 3 else "")
        note = f"{counted(len(names), 'flow')} without demand until events bring some: {shown}"
        notes, new = (*self.notes, note), self.new_flows + len(names)
        return replace(self, links=(*self.links, *names), kpis=kpis, notes=notes, new_flows=new)

    def measured_flows(self) -> Trace:
        """Return the trace without flows that carry nothing for events to bring demand to."""
        return self.of_links(range(len(self.links) - self.new_flows)) if self.new_flows else self

    def seen(self, samples: int) -> Trace:
        """Return what is known of the trace once its first `samples` samples are seen.

        A gap whose far end comes later is missing.
        """
        feed = ArrayFeed(self.kpis, self.gaps)
        kpis = {name: known(feed, name, samples) for name in self.kpis}
        gaps = {name: gaps.before(samples) for name, gaps in self.gaps.items()}
        return replace(self, kpis=kpis, gaps=gaps)

    def time(self, sample: int) -> datetime | None:
        """Return when a sample begins, where the trace has dates; in UTC if it has a time zone."""
        if self.starts is None:
            return None
        return self.starts + timedelta(seconds=sample * self.tick_s)

    @property
    def demand_mbps(self) -> NDArray[np.float64]:
        """The demand, Mbit/s, [samples, links]."""
        return self.kpis["internet"]

    @property
    def samples(self) -> int:
        """Number of points of the time grid."""
        return len(self.demand_mbps)
