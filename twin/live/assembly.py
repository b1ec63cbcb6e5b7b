"""From samples to intervals: what becomes of late, repeated, disordered and impossible samples.

- An interval's sample is the mean of all that came for it (or their maximum or P95, as
  `demand.aggregate` says), whatever the order in which they came. None: it is missing.
- The same link, KPI and time once more is a *duplicate*; with another value *conflicting*. The
  first one counts.
- A sample of an interval that has closed is *late*: it changes the account and what later
  decisions see, never an earlier decision. Later than that by `telemetry.late`, or from before the
  live began, it is *too late* and does not count.
- *negative*, *not a number* (NaN and infinite) and *future* samples do not count, nor do those of
  an *unknown link* or *unknown KPI*.

Readings of counters are kept as they are; :mod:`twin.live.counters` makes rates of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.demand.gaps import Revision
from twin.demand.kpis import TRAFFIC_KPIS
from twin.live.counters import Counters
from twin.live.samples import Samples

OUTCOMES: Final = (
    "taken", "late", "duplicate", "conflicting", "too_late", "future", "negative", "not_a_number",
    "unknown_link", "unknown_kpi",
)  # fmt: skip
"""What becomes of a sample."""
_TAKEN, _LATE, _DUPLICATE, _CONFLICTING, _TOO_LATE, _FUTURE, _NEGATIVE, _NAN, _LINK, _KPI = range(
    len(OUTCOMES)
)
_MOST_NAMED: Final = 20


class Kept(NamedTuple):
    """Samples that count: arrays are [samples]."""

    cell: Ints
    """KPI and link in one number: KPI x links + link."""
    time_ms: Ints
    """Since 1970, moved as `demand.stamp` and `snap` say."""
    values: Floats
    """As sent."""


class Sorted(NamedTuple):
    """What becomes of samples that were sent."""

    kept: Kept
    outcomes: dict[str, int]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What samples are assembled by."""

    links: tuple[str, ...]
    kpis: tuple[str, ...]
    tick_ms: int
    zero_ms: int
    """When sample 0 of the history begins, since 1970."""
    unit_mbps: float = 1.0
    shift_ms: int = 0
    """What is added to a time as sent, so that it lies in its interval."""
    begin: int = 0
    """The first sample of the live, on the grid of the history."""
    per_tick: int = 1
    """Samples of each link in a tick."""
    window: int = 72
    """Closed intervals that a sample may still be of."""
    aggregate: Literal["mean", "max", "p95"] = "mean"
    bits: int | None = None
    """Of counters; None: rates."""
    limits_mbps: Floats | None = None
    """How fast each link can be, [links]; of counters."""

    @property
    def cells(self) -> int:
        """Number of pairs of KPI and link."""
        return len(self.links) * len(self.kpis)


@dataclass(slots=True)
class Bucket:
    """The samples of one interval, in order of cell and time."""

    key: Ints
    """Cell x tick + milliseconds since the start of the interval."""
    values: Floats

    @classmethod
    def empty(cls) -> Bucket:
        """Return one without samples."""
        return cls(np.empty(0, np.int64), np.empty(0))

    def add(self, key: Ints, values: Floats) -> None:
        """Take samples that are not there yet."""
        key = np.concatenate([self.key, key])
        order = np.argsort(key, kind="stable")
        self.key, self.values = key[order], np.concatenate([self.values, values])[order]


@dataclass(slots=True)
class Assembler:
    """Samples of the intervals that are open, and of those that closed not long ago."""

    terms: Terms
    next: int
    """Sample number, on the grid of the history, of the interval that closes next."""
    _numbers: dict[str, int] = field(init=False)
    _buckets: dict[int, Bucket] = field(default_factory=dict)
    _seen: dict[int, Floats] = field(default_factory=dict)
    """By closed interval, the values that the twin has of it, [cells]."""
    _touched: set[int] = field(default_factory=set)
    """Closed intervals whose samples have changed since the last one closed."""
    _counters: Counters | None = None

    def __post_init__(self) -> None:
        terms = self.terms
        self._numbers = {name: i for i, name in enumerate(terms.links)}
        if terms.bits is not None:
            limits = terms.limits_mbps
            fast = np.full(len(terms.links), np.inf) if limits is None else limits
            self._counters = Counters(terms.bits, fast / terms.unit_mbps, len(terms.kpis))

    @property
    def waiting(self) -> int:
        """Number of samples of open intervals."""
        return sum(len(b.key) for k, b in self._buckets.items() if k >= self.next)

    @property
    def newest(self) -> int | None:
        """The latest interval of which a sample has come; None where none has."""
        return max((k for k, b in self._buckets.items() if len(b.key)), default=None)

    # Samples that come

    def sort(self, samples: Samples, now_ms: int, ahead_ms: int) -> Sorted:
        """Return what is to become of samples; nothing is taken yet."""
        terms = self.terms
        outcome = np.full(len(samples), _TAKEN, dtype=np.int64)
        cell, time_ms, unknown = self._placed(samples, outcome)
        values = samples.values

        def judge(what: int, which: Bools) -> None:
            outcome[which & (outcome == _TAKEN)] = what

        judge(_NAN, ~np.isfinite(values))
        judge(_NEGATIVE, values < 0)
        judge(_FUTURE, samples.time_ms > now_ms + ahead_ms)
        interval = (time_ms - terms.zero_ms) // terms.tick_ms
        judge(_TOO_LATE, interval < max(self.next - terms.window, terms.begin))
        judge(_LATE, interval < self.next)
        self._judge_repeated(outcome, cell, time_ms, values)
        keep = outcome <= _LATE
        counts = np.bincount(outcome, minlength=len(OUTCOMES)).tolist()
        named = {name: n for name, n in zip(OUTCOMES, counts, strict=True) if n}
        return Sorted(Kept(cell[keep], time_ms[keep], values[keep]), named, unknown)

    def _placed(self, samples: Samples, outcome: Ints) -> tuple[Ints, Ints, tuple[str, ...]]:
        """Return cell and time of each sample, and the names that are not known."""
        terms = self.terms
        links = np.array([self._numbers.get(name, -1) for name in samples.links] or [-1])
        known = {name: i for i, name in enumerate(terms.kpis)}
        kpis = np.array([known.get(name, -1) for name in samples.kpis] or [-1])
        link, kpi = links[samples.link], kpis[samples.kpi]
        outcome[kpi < 0] = _KPI
        outcome[link < 0] = _LINK
        names = [n for n in (*samples.links, *samples.kpis) if n not in self._numbers]
        unknown = tuple(name for name in names if name not in known)[:_MOST_NAMED]
        return kpi * len(terms.links) + link, samples.time_ms + terms.shift_ms, unknown

    def _judge_repeated(self, outcome: Ints, cell: Ints, time_ms: Ints, values: Floats) -> None:
        """Mark samples that have come before, or stand before in the same batch."""
        some = np.flatnonzero(outcome <= _LATE)
        if not len(some):
            return
        interval, key = self._keys(cell[some], time_ms[some])
        order = np.lexsort((key, interval))
        same = (np.diff(interval[order]) == 0) & (np.diff(key[order]) == 0)
        # The number of the first sample with the same key; lexsort keeps the order in which
        # equal ones came.
        begins = np.concatenate([[True], ~same])
        first = some[order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]]
        again = some[order]
        repeated = first != again
        self._mark(outcome, again[repeated], values[again] == values[first], repeated)
        for k in np.unique(interval).tolist():
            if (bucket := self._buckets.get(k)) is None or not len(bucket.key):
                continue
            these = some[interval == k]
            place = np.searchsorted(bucket.key, key[interval == k])
            place = np.minimum(place, len(bucket.key) - 1)
            there = bucket.key[place] == key[interval == k]
            self._mark(outcome, these[there], bucket.values[place] == values[these], there)

    @staticmethod
    def _mark(outcome: Ints, which: Ints, equal: Bools, among: Bools) -> None:
        outcome[which] = np.where(equal[among], _DUPLICATE, _CONFLICTING)

    def _keys(self, cell: Ints, time_ms: Ints) -> tuple[Ints, Ints]:
        interval, offset = np.divmod(time_ms - self.terms.zero_ms, self.terms.tick_ms)
        return interval, cell * self.terms.tick_ms + offset

    def put(self, kept: Kept) -> None:
        """Take samples that :meth:`sort` keeps."""
        interval, key = self._keys(kept.cell, kept.time_ms)
        for k in np.unique(interval).tolist():
            some = interval == k
            self._buckets.setdefault(k, Bucket.empty()).add(key[some], kept.values[some])
            if k < self.next:
                # A reading says something of the intervals around it.
                reach = 0 if self._counters is None else self._counters.reach(self.terms.tick_ms)
                self._touched |= set(range(k - reach, min(k + reach + 1, self.next)))

    # Intervals that close

    @property
    def complete(self) -> bool:
        """Whether all samples of the interval that closes next have come."""
        bucket = self._buckets.get(self.next)
        if self._counters is not None:
            return bucket is not None and not np.isnan(self._value(self.next)).any()
        expected = self.terms.cells * self.terms.per_tick
        return bucket is not None and len(bucket.key) >= expected

    def close(self) -> tuple[dict[str, Floats], list[Revision]]:
        """Close the next interval: its row of each KPI, Mbit/s, and earlier samples that changed.

        NaN is missing.
        """
        number = self.next
        row = self._value(number)
        self._touched |= self._told_by(number)
        touched = sorted(k for k in self._touched if k >= self.terms.begin)
        revisions = [r for k in touched for r in self._revised(k)]
        self._touched.clear()
        self._seen[number] = row
        self.next = number + 1
        self.forget()
        return self._by_kpi(row), revisions

    def _told_by(self, number: int) -> set[int]:
        """Return the closed intervals of which an interval's readings of counters may tell."""
        before = self._seen.get(number - 1)
        if self._counters is None or before is None or number not in self._buckets:
            return set()
        cells = np.unique(self._buckets[number].key // self.terms.tick_ms)
        if not np.isnan(before[cells]).any():
            return set()
        return set(range(number - self._counters.reach(self.terms.tick_ms), number))

    def forget(self) -> None:
        """Drop what no sample can change any more."""
        oldest = self.next - self.terms.window
        for table in (self._buckets, self._seen):
            for k in [k for k in table if k < oldest - 1]:
                del table[k]

    def settle(self) -> None:
        """Count all that has come of closed intervals as known, as it is where one begins anew."""
        self._seen = {k: self._value(k) for k in sorted(self._buckets) if k < self.next}
        self._touched.clear()

    def carried(self) -> Kept:
        """Return all samples that are held, for one that goes on in the place of this one."""
        parts = []
        for k, bucket in sorted(self._buckets.items()):
            cell, offset = np.divmod(bucket.key, self.terms.tick_ms)
            parts.append(
                (cell, offset + self.terms.zero_ms + k * self.terms.tick_ms, bucket.values)
            )
        if not parts:
            return Kept(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        return Kept(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _value(self, number: int) -> Floats:
        """Return the values of an interval as far as is known now, [cells]."""
        terms = self.terms
        bucket = self._buckets.get(number) or Bucket.empty()
        if self._counters is not None:
            near = {k: (b.key, b.values) for k, b in self._buckets.items()}
            row = self._counters.rates(near, number, terms.tick_ms)
        else:
            row = _aggregated(bucket.key // terms.tick_ms, bucket.values, terms)
        for i, kpi in enumerate(terms.kpis):
            if kpi in TRAFFIC_KPIS:
                row[i * len(terms.links) : (i + 1) * len(terms.links)] *= terms.unit_mbps
        return row

    def _revised(self, number: int) -> list[Revision]:
        """Return how a closed interval differs from what the twin has of it."""
        value = self._value(number)
        before = self._seen.get(number)
        differs = ~np.isnan(value)
        if before is not None:
            differs &= value != before
        self._seen[number] = value if before is None else np.where(differs, value, before)
        links, kpis = len(self.terms.links), self.terms.kpis
        return [
            Revision(0, kpis[cell // links], cell % links, number, value[cell : cell + 1])
            for cell in np.flatnonzero(differs).tolist()
        ]

    def _by_kpi(self, row: Floats) -> dict[str, Floats]:
        return dict(zip(self.terms.kpis, np.split(row, len(self.terms.kpis)), strict=True))


def _aggregated(cell: Ints, values: Floats, terms: Terms) -> Floats:
    """Return one value for each cell of samples that are in its order, [cells]; NaN for none."""
    row = np.full(terms.cells, np.nan)
    if not len(cell):
        return row
    first = np.flatnonzero(np.concatenate([[True], np.diff(cell) > 0]))
    counts = np.diff(np.concatenate([first, [len(cell)]]))
    if terms.aggregate == "max":
        row[cell[first]] = np.maximum.reduceat(values, first)
    elif terms.aggregate == "mean":
        row[cell[first]] = np.add.reduceat(values, first) / counts
    else:
        for count in np.unique(counts).tolist():
            begins = first[counts == count]
            several = values[begins[:, None] + np.arange(count)]
            row[cell[begins]] = np.percentile(several, 95, axis=1)
    return row
