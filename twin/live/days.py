"""Days that are over, kept as Parquet: the table of each, once no late sample changes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from twin.account.energy import LinkPower
from twin.api.simulation import Simulation
from twin.core.errors import InputError
from twin.core.files import write_whole
from twin.engine.recording import Recording
from twin.live.day_file import DECIDED_BY, DayFile, damaged, day_files
from twin.live.moved import moment_of
from twin.live.present import LivePresent
from twin.results.intervals import write_intervals

_DAY_S: Final = 86_400
_NAME: Final = "%Y-%m-%d"


class Days:
    """The folder of days that are over."""

    def __init__(self, folder: Path, retention_s: float, late_s: float) -> None:
        """Keep each for `retention_s`; samples come up to `late_s` after their intervals."""
        self.folder = folder
        self._retention_s, self._late_s = retention_s, late_s
        self._kept: int | None = None
        self._damaged: tuple[DayFile, ...] | None = None

    def due(self, present: LivePresent) -> bool:
        """Return whether there is a day to write that no sample can change any more."""
        return self._end_of(present, self._next(present)) + self._late_s <= self._now(present)

    def look_again(self) -> None:
        """Find out again which intervals are kept: a copy of the process has written some."""
        self._kept = self._damaged = None

    @property
    def notices(self) -> list[str]:
        """What is to be said of files that are damaged."""
        # One that was restored or removed is no longer spoken of.
        still = (file for file in self._not_whole() if file.path.exists() and not file.whole)
        said = (damaged(file) for file in still)
        return [f"{problem.what}; {problem.suggestion}" for problem in said]

    def _not_whole(self) -> tuple[DayFile, ...]:
        if self._damaged is None:
            self._damaged = tuple(file for file in day_files(self.folder) if not file.whole)
        return self._damaged

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
        """Return the first interval that no file holds, or a damaged one that can be made again."""
        if self._kept is None:
            files = day_files(self.folder)
            self._kept = 0
            if files:
                try:
                    self._kept = files[-1].stop
                except InputError:
                    self._kept = files[-1].first
            again = [each.first for each in self._not_whole() if each.first >= present.after]
            self._kept = min([self._kept, *again])
        return max(self._kept, present.after)

    def _write(self, present: LivePresent, first: int, stop: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        begins = moment_of(present.epoch.facts.live_ms / 1000 + first * present.tick_s)
        recorded, began = present.simulation.recording(), present.after
        recording = recorded.between(first - began, stop - began)
        power = present.simulation.result.settlement.power
        file = self.folder / f"{begins.strftime(_NAME)}-{first:06d}.parquet"
        starts = begins.replace(tzinfo=UTC)
        told = _decided_by(present.simulation, first - began, stop - began)
        write = partial(_write_table, recording, starts=starts, power=power, decided_by=told)
        write_whole(file, write)
        self._kept = stop

    def _forget(self, now: float) -> None:
        oldest = moment_of(max(now - self._retention_s, 0.0))
        for file in day_files(self.folder):
            if datetime.strptime(file.day, _NAME) + timedelta(days=1) < oldest:
                file.path.unlink(missing_ok=True)


def _write_table(
    recording: Recording,
    stream: BinaryIO,
    *,
    starts: datetime,
    power: LinkPower | None,
    decided_by: str,
) -> None:
    write_intervals(recording, stream, starts, power, said={DECIDED_BY: decided_by})


def _decided_by(simulation: Simulation, first: int, stop: int) -> str:
    """Return what a file says of the intervals that fallbacks decided."""
    told: dict[str, dict[str, list[int]]] = {}
    for choice in simulation.scenario.policies:
        for interval in range(first, stop):
            name = simulation.decided_by(choice.name, interval)
            if name != choice.name:
                told.setdefault(choice.name, {}).setdefault(name, []).append(interval - first)
    return json.dumps(told)
