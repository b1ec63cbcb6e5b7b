"""Days that are over, kept as Parquet: the interval table of each, once no late sample changes it.

A day is one of UTC. A file is named by its day and the interval that it begins with, counted from
when the live began: `2026-10-07-000288.parquet`. A day in which the twin began anew has several.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from twin.account.energy import LinkPower
from twin.core.files import write_whole
from twin.engine.recording import Recording
from twin.live.moved import moment_of
from twin.live.present import LivePresent
from twin.results.intervals import write_intervals

if TYPE_CHECKING:
    import pandas as pd

_DAY_S: Final = 86_400
_NAME: Final = "%Y-%m-%d"


class Days:
    """The folder of days that are over."""

    def __init__(self, folder: Path, retention_s: float, late_s: float) -> None:
        """Keep each for `retention_s`; samples come up to `late_s` after their intervals."""
        self.folder = folder
        self._retention_s, self._late_s = retention_s, late_s
        self._kept: int | None = None

    def due(self, present: LivePresent) -> bool:
        """Return whether there is a day to write that no sample can change any more."""
        return self._end_of(present, self._next(present)) + self._late_s <= self._now(present)

    def look_again(self) -> None:
        """Find out again which intervals are kept: a copy of the process has written some."""
        self._kept = None

    @staticmethod
    def _now(present: LivePresent) -> float:
        return present.epoch.facts.live_ms / 1000 + present.interval * present.tick_s

    @staticmethod
    def _end_of(present: LivePresent, interval: int) -> float:
        """Return when the day ends in which an interval begins, seconds since 1970."""
        begins = present.epoch.facts.live_ms / 1000 + interval * present.tick_s
        return begins // _DAY_S * _DAY_S + _DAY_S

    def keep(self, present: LivePresent) -> None:
        """Write the days that no sample can change any more, and drop those that are too old.

        Raises OSError.
        """
        live = present.epoch.facts.live_ms / 1000
        now, first = self._now(present), self._next(present)
        end = self._end_of(present, first)
        while end + self._late_s <= now:
            stop = int(-(-(end - live) // present.tick_s))
            self._write(present, first, stop)
            first, end = stop, end + _DAY_S
            self._forget(now)

    def finish(self, present: LivePresent) -> None:
        """Write all that is not there yet, since the twin begins anew. Raises OSError."""
        self.keep(present)
        if (first := self._next(present)) < present.interval:
            self._write(present, first, present.interval)

    def _next(self, present: LivePresent) -> int:
        """Return the first interval that no file holds."""
        if self._kept is None:
            last = max(day_files(self.folder), default=None, key=first_of)
            self._kept = 0 if last is None else first_of(last) + intervals_of(last)
        return max(self._kept, present.after)

    def _write(self, present: LivePresent, first: int, stop: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        begins = moment_of(present.epoch.facts.live_ms / 1000 + first * present.tick_s)
        recorded, began = present.simulation.recording(), present.after
        recording = recorded.between(first - began, stop - began)
        power = present.simulation.result.settlement.power
        file = self.folder / f"{begins.strftime(_NAME)}-{first:06d}.parquet"
        starts = begins.replace(tzinfo=UTC)
        write_whole(file, partial(_write_table, recording, starts=starts, power=power))
        self._kept = stop

    def _forget(self, now: float) -> None:
        oldest = moment_of(max(now - self._retention_s, 0.0))
        for file in day_files(self.folder):
            if datetime.strptime(file.name[:10], _NAME) + timedelta(days=1) < oldest:
                file.unlink(missing_ok=True)

    def table(self, first: int, stop: int) -> pd.DataFrame:
        """Return what is kept of intervals first <= i < stop, counted from when the live began.

        With the columns of `intervals.parquet`, of which `interval` and `start_s` count so, too.
        """
        import pandas as pd

        tables = []
        for file in day_files(self.folder):
            begin = first_of(file)
            if begin >= stop or begin + intervals_of(file) <= first:
                continue
            table = pd.read_parquet(file)
            tick_s = int(table["start_s"].max() // max(int(table["interval"].max()), 1))
            table["interval"] += begin
            table["start_s"] += float(begin * tick_s)
            tables.append(table[(table["interval"] >= first) & (table["interval"] < stop)])
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _write_table(
    recording: Recording, stream: BinaryIO, *, starts: datetime, power: LinkPower | None
) -> None:
    write_intervals(recording, stream, starts, power)


def day_files(folder: Path) -> list[Path]:
    """Return the files of days in a folder, the first one first."""
    return sorted(folder.glob("????-??-??-*.parquet"))


def first_of(file: Path) -> int:
    """Return the interval that a file of a day begins with, counted from when the live began."""
    return int(file.stem[11:])


def intervals_of(file: Path) -> int:
    """Return how many intervals a file of a day holds."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(file)
    column = metadata.schema.names.index("interval")
    groups = (metadata.row_group(k).column(column) for k in range(metadata.num_row_groups))
    return 1 + int(max(group.statistics.max for group in groups))
