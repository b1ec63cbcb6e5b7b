"""Writes what failures would have done: tables, scenario and manifest, or nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from twin.core import clock
from twin.results.folder import staged
from twin.results.manifest import replay_starts
from twin.results.manifest_file import write_manifest
from twin.results.result import Result
from twin.studies.contingency.study import Contingencies
from twin.topology.saved import TOPOLOGY, topology_text

if TYPE_CHECKING:
    import pandas as pd


def save(study: Contingencies, folder: Path, *, force: bool = False, report: bool = True) -> Path:
    """Write all files to `folder`, or none after an error; the page with `report` alone.

    Raises InputError where the folder holds anything and `force` is false.
    """
    result = study.result
    with staged(folder, force=force) as stage:
        (stage / "scenario.yaml").write_text(result.resolved_scenario(), encoding="utf-8")
        for name, table in (("failures", study.failures), ("worst_cases", study.worst_cases)):
            dated = _dated(table, result)
            dated.to_csv(stage / f"{name}.csv", index=False, lineterminator="\n")
        facts = result.manifest | {
            "contingencies": study.failures["failure"].nunique() - 1,
            "intervals": result.scenario.span.intervals,
            "intervals_skipped": study.skipped,
            "wall_time_s": round(study.wall_time_s, 3),
        }
        topology = result.scenario.topology
        assert topology is not None
        text = topology_text(topology)
        (stage / TOPOLOGY).write_text(text, encoding="utf-8", newline="\n")
        if report:
            # Tables alone need no page, and are there sooner.
            from twin.report.contingency.source import ContingencyData
            from twin.report.contingency.write import write

            scenario = result.resolved_scenario()
            write(
                ContingencyData(study.failures, study.worst_cases, topology, facts, scenario), stage
            )
        write_manifest(stage, facts)
    return folder


def _dated(table: pd.DataFrame, result: Result) -> pd.DataFrame:
    """Return a table with the local `time` of each worst start, where the trace has dates."""
    starts, timezone = replay_starts(result.scenario), result.scenario.trace.timezone
    if starts is None:
        return table
    seconds = table["worst_start_s"].tolist()
    times = [clock.local(starts + timedelta(seconds=each), timezone) for each in seconds]
    return table.assign(time=[time.isoformat() for time in times])
