"""The result of a run: in memory, written only when asked."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from twin.account.hours import by_hour
from twin.account.summary import Settlement, summarise
from twin.core.units import format_duration
from twin.demand.spec import SYNTHETIC_KEYS
from twin.engine.links import link_specs
from twin.engine.recording import Recording
from twin.results.folder import MANIFEST, check_free, staged
from twin.results.intervals import interval_table, write_intervals
from twin.results.manifest import manifest, replay_starts
from twin.scenario.load import Scenario

if TYPE_CHECKING:
    import pandas as pd


class Result:
    """What a run recorded. Tables are made when first asked for."""

    def __init__(self, scenario: Scenario, recording: Recording, wall_time_s: float) -> None:
        self.scenario = scenario
        self.recording = recording
        self.wall_time_s = wall_time_s

    def __repr__(self) -> str:
        recording = self.recording
        size = f"{len(recording.links)} links, {recording.intervals} intervals"
        return f"<Result {self.scenario.spec.name}: {size}, {len(recording.lanes)} policies>"

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row for each policy and link, and one for each policy with link `all`."""
        spec = self.scenario.spec
        specs = link_specs(spec.links, self.recording.links)
        change_cost = np.array([link.change_cost for link in specs])
        return summarise(self.recording, Settlement(spec.sla.target, spec.prices, change_cost))

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """A row for each policy, link and interval, in this order."""
        return interval_table(self.recording)

    @cached_property
    def events(self) -> pd.DataFrame:
        """A row for each event that started or ended, in order of time."""
        import pandas as pd

        rows = [
            (e.time_s, e.kind, e.name, e.phase, ";".join(e.links), e.detail)
            for e in self.recording.events
        ]
        columns = ["time_s", "kind", "name", "phase", "links", "detail"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def hours(self) -> pd.DataFrame:
        """A row for each policy, link and hour of the day, as hours.csv.

        Without a start time of the trace, hours are since the start of the replay, modulo 24.
        """
        return by_hour(self.recording, replay_starts(self.scenario))

    def save(self, folder: str | Path, *, force: bool = False, figures: bool = True) -> Path:
        """Write the run to `folder`: all of its files, or none where something goes wrong.

        With `force` a run that is there gives way; other files stay. Returns `folder`.

        Raises InputError where the folder holds anything and `force` is false.
        """
        folder = Path(folder)
        check_free(folder, force=force)
        with staged(folder) as stage:
            resolved = self.resolved_scenario()
            (stage / "scenario.yaml").write_text(resolved, encoding="utf-8")
            self.summary.to_csv(stage / "summary.csv", index=False, lineterminator="\n")
            self.events.to_csv(stage / "events.csv", index=False, lineterminator="\n")
            self.hours.to_csv(stage / "hours.csv", index=False, lineterminator="\n")
            write_intervals(self.recording, stage / "intervals.parquet")
            if figures:
                from twin.report.run.source import RunData
                from twin.report.run.write import write

                write(RunData.of(self), stage)
            digest = hashlib.sha256(resolved.encode()).hexdigest()
            files = sorted(str(f.relative_to(stage)) for f in stage.rglob("*") if f.is_file())
            facts = manifest(self.scenario, digest, files, self.wall_time_s)
            text = json.dumps(facts, indent=2, ensure_ascii=False)
            (stage / MANIFEST).write_text(text + "\n", encoding="utf-8")
        return folder

    def resolved_scenario(self) -> str:
        """Return the scenario as YAML with every default written out and paths made absolute."""
        data = self.scenario.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        if "path" in data["demand"]:
            data["demand"] = {k: v for k, v in data["demand"].items() if k not in SYNTHETIC_KEYS}
            path = self.scenario.folder / data["demand"]["path"]
            data["demand"]["path"] = str(path.resolve())
        # Keys that a link does not state are those of `defaults`, and stay unstated.
        data["links"] = {
            name: link.model_dump(mode="json", exclude_unset=True, exclude_none=True)
            for name, link in self.scenario.spec.links.items()
        }
        data["policies"] = [self._resolved_policy(i) for i in range(len(self.scenario.policies))]
        if self.scenario.fallback is not None:
            data["fallback"]["use"] = self.scenario.fallback.members[0].use
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)

    def _resolved_policy(self, index: int) -> dict[str, Any]:
        choice, kpis = self.scenario.policies[index], tuple(self.scenario.trace.kpis)
        members = [member.resolved(self.scenario.folder, kpis) for member in choice.members]
        if not choice.scheduled:
            return {"name": choice.name, **members[0]}
        tick_s = self.scenario.spec.tick
        turns = zip(choice.members, members, strict=True)
        schedule = [
            {"from": format_duration(member.first * tick_s), **resolved}
            for member, resolved in turns
        ]
        return {"name": choice.name, "schedule": schedule}
