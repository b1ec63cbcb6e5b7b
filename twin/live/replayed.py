"""The journal of a living twin, replayed: the same decisions, as the result of a run."""

from __future__ import annotations

import time
from pathlib import Path

from twin.core.errors import InputError, Problem
from twin.live.epoch import JOURNAL, Epoch, epochs, is_epoch, read_epoch
from twin.live.journal import Position, read
from twin.live.keeping import refuse_others
from twin.live.moved import living_scenario, moment_of
from twin.live.present import LivePresent, taken
from twin.results.result import Result
from twin.scenario import source as yaml_source
from twin.scenario.given import Given, Overrides
from twin.scenario.load import Scenario
from twin.telemetry.source import LiveSource


def replayed(folder: Path, scenario: Scenario | None = None, number: int | None = None) -> Result:
    """Return what the journal in a folder leads to, since the twin began, or began anew last.

    `folder` is that of the state, or its `journal`; `number` asks for another epoch than the last,
    and so does the folder of one.
    The scenario is the one that is kept there; where it names policies that are given as objects,
    the same one as a living twin was opened with. Nothing is written. Raises InputError where there
    is no journal, and RunError where a policy fails.
    """
    epoch = epoch_in(folder, number)
    base = _kept(epoch) if scenario is None else _given(scenario, epoch)
    begin = time.perf_counter()
    present = LivePresent(base, epoch)
    for record, timed_out, _ in taken(read(epoch.records), Position()):
        # The twin may be at work on the last decision.
        if record is None:
            present.start(timed_out or ())
        else:
            present.apply(record, timed_out or ())
    result = present.simulation.result
    result.wall_time_s = time.perf_counter() - begin
    return result


def epoch_in(folder: Path, number: int | None = None) -> Epoch:
    """Return the last epoch of a state or journal, or another. Raises InputError."""
    if is_epoch(folder):
        return read_epoch(folder)
    journal = folder / JOURNAL if (folder / JOURNAL).is_dir() else folder
    folders = [each for each in epochs(journal) if number in (None, int(each.name))]
    if not folders:
        what = "holds no journal of a living twin"
        raise InputError(Problem(what, file=folder, suggestion="it is the folder of 'twin serve'"))
    return read_epoch(folders[-1])


def _kept(epoch: Epoch) -> Scenario:
    source = yaml_source.read(epoch.scenario)
    given = Given(trace=epoch.history, source=LiveSource(epoch.history), living=True)
    return Scenario.of(source, epoch.scenario, Overrides(), None, given)


def _given(scenario: Scenario, epoch: Epoch) -> Scenario:
    refuse_others(scenario, epoch)
    begin = None if epoch.history.starts is None else moment_of(epoch.facts.live_ms / 1000)
    return living_scenario(scenario, epoch.history, begin)
