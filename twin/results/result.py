"""The result of a run: in memory, written only when asked."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

import numpy as np

from twin.account.catalogue import METRICS
from twin.account.energy import LinkPower
from twin.account.hours import by_hour
from twin.account.summary import ALL, Account, Settlement, settle
from twin.core import clock
from twin.core.errors import InputError, Problem
from twin.core.printable import list_text
from twin.engine.links import link_specs
from twin.engine.recording import Recording
from twin.results.flows import flow_totals, flows_on, site_totals
from twin.results.folder import staged
from twin.results.intervals import interval_table, write_intervals
from twin.results.manifest import manifest, replay_starts
from twin.results.manifest_file import write_manifest
from twin.results.resolved import resolved_scenario
from twin.results.service import flow_service
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.load import Scenario
from twin.topology.saved import TOPOLOGY, topology_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SHOWN: Final = (
    "mae", "allocated_mean_mbps", "over_provisioning_pct", "efficiency_median", "utilization_mean",
    "sla_violation_rate", "sla_violation_minutes", "unmet_mbit",
)  # fmt: skip
"""Metrics of a result as a notebook shows it."""


class Drawing(Protocol):
    """Draws results; given to a result by whoever makes it, since tables need no pictures."""

    def write(self, result: Result, folder: Path) -> list[str]:
        """Write figures and report to `folder`, and return the names of the files."""

    def figure(self, result: Result) -> Figure:
        """Return demand against each policy's allocation as a Matplotlib figure."""


class Result:
    """What a run recorded. Tables are made when first asked for."""

    def __init__(
        self,
        scenario: Scenario,
        recording: Recording,
        wall_time_s: float,
        drawing: Drawing | None = None,
    ) -> None:
        self.scenario = scenario
        self.recording = recording
        self.wall_time_s = wall_time_s
        self._drawing = drawing

    def __repr__(self) -> str:
        recording = self.recording
        size = f"{len(recording.links)} links, {recording.intervals} intervals"
        return f"<Result {self.scenario.spec.name}: {size}, {len(recording.lanes)} policies>"

    def _repr_html_(self) -> str:
        """Return the comparison over all links as an HTML table, for notebooks."""
        pooled = self.summary[self.summary["link"] == ALL]
        columns = {name: METRICS[name] for name in _SHOWN}
        table = pooled.set_index("policy")[list(columns)]
        table.columns = [
            f"{metric.title} [{metric.unit}]" if metric.unit else metric.title
            for metric in columns.values()
        ]
        return table.to_html(float_format=lambda value: f"{value:.4g}", escape=True)

    def plot(self) -> Figure:
        """Return demand against each policy's allocation as a Matplotlib figure.

        Raises RuntimeError for a result that was made without a drawing.
        """
        if self._drawing is None:
            raise RuntimeError("this result was made without a drawing")
        return self._drawing.figure(self)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row for each policy and link, and one for each policy with link `all`."""
        return self.account.summary

    @cached_property
    def account(self) -> Account:
        """The summary, and what tells differences between policies from chance."""
        return settle(self.recording, self.settlement)

    @property
    def settlement(self) -> Settlement:
        """What its summary is settled by."""
        spec = self.scenario.spec
        specs = link_specs(spec.links, self.recording.links)
        change_cost = np.array([link.change_cost for link in specs])
        period = 0 if spec.sla.period is None else max(int(spec.sla.period / spec.tick), 1)
        return Settlement(spec.sla.target, spec.prices, change_cost, period, LinkPower.of(specs))

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """A row for each policy, link and interval, in this order.

        With a column `time` where the trace has dates.
        """
        starts, timezone = replay_starts(self.scenario), self.scenario.trace.timezone
        return interval_table(self.recording, starts, self.settlement.power, timezone)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What decided its numbers, as manifest.json, which also lists the files beside it."""
        digest = hashlib.sha256(self.resolved_scenario().encode()).hexdigest()
        used, unrouted = self.recording.forecasts, self.recording.unrouted
        return manifest(self.scenario, digest, self.wall_time_s, used, unrouted)

    def write_intervals(self, file: Path | BinaryIO) -> None:
        """Write the interval table as Parquet, in memory that does not grow with it."""
        power = self.settlement.power
        starts, timezone = replay_starts(self.scenario), self.scenario.trace.timezone
        write_intervals(self.recording, file, starts, power, timezone)

    @cached_property
    def events(self) -> pd.DataFrame:
        """A row for each event that started or ended, in order of time; `links` is a JSON list.

        With a column `time`, local and with its offset from UTC, where the trace has dates.
        """
        import pandas as pd

        rows = [
            (e.time_s, e.kind, e.name, e.phase, list_text(e.links), e.detail)
            for e in self.recording.events
        ]
        columns = ["time_s", "kind", "name", "phase", "links", "detail"]
        table = pd.DataFrame(rows, columns=columns)
        if (starts := replay_starts(self.scenario)) is not None:
            timezone = self.scenario.trace.timezone
            table["time"] = [
                clock.local(starts + timedelta(seconds=each), timezone).isoformat()
                for each in table["time_s"].tolist()
            ]
        return table

    @cached_property
    def hours(self) -> pd.DataFrame:
        """A row for each policy, link and hour of the day, as hours.csv.

        Without a start time of the trace, hours are since the start of the replay, modulo 24.
        """
        starts, timezone = replay_starts(self.scenario), self.scenario.trace.timezone
        return by_hour(self.recording, starts, timezone)

    def flows(self, link: str, at: str | float = 0.0) -> pd.DataFrame:
        """Return the flows on a link at an instant: `flow`, `share`, `mbps` and `path`.

        `at` is text such as ``3h 10min`` or seconds, from the start of the replay; `mbps` is the
        mean offered demand of its interval. Raises InputError for a scenario without a matrix, an
        unknown link, or an instant outside the replay.
        """
        return flows_on(self.recording, self._routing(), link, at)

    @cached_property
    def flow_totals(self) -> pd.DataFrame:
        """A row for each flow of a matrix: `offered_mbit`, `routed_mbit`, `unrouted_mbit`.

        Raises InputError for a scenario without a matrix.
        """
        return flow_totals(self.recording, self._routing())

    @cached_property
    def flow_service(self) -> pd.DataFrame:
        """A row for each policy and flow: `served_mbit`, `unserved_mbit`, `unrouted_mbit`.

        They add up to `offered_mbit`. Raises InputError for a scenario without a matrix.
        """
        return flow_service(self.recording, self._routing())

    @cached_property
    def site_totals(self) -> pd.DataFrame:
        """A row for each site: `out_mbit`, `in_mbit`, `transit_mbit`, `unrouted_mbit`.

        Raises InputError for a scenario without a matrix.
        """
        return site_totals(self.recording, self._routing())

    def _routing(self) -> ShortestPaths:
        routing = self.scenario.routing
        if not isinstance(routing, ShortestPaths):
            what = "has no demand from site to site, and so no flows over links"
            raise InputError(Problem(what, self.scenario.spec.name))
        return routing

    def save(self, folder: str | Path, *, force: bool = False, figures: bool = True) -> Path:
        """Write the run to `folder`: all of its files, or none where something goes wrong.

        With `force` a run that is there gives way; other files stay. Returns `folder`.

        Raises InputError where the folder holds anything and `force` is false.
        """
        folder = Path(folder)
        with staged(folder, force=force) as stage:
            self.write(stage, figures=figures)
            write_manifest(stage, self.manifest)
        return folder

    def write(self, folder: Path, *, figures: bool = True) -> None:
        """Write the files of a run to `folder`, apart from its manifest."""
        text = self.resolved_scenario()
        (folder / "scenario.yaml").write_text(text, encoding="utf-8", newline="\n")
        self.summary.to_csv(folder / "summary.csv", index=False, lineterminator="\n")
        self.events.to_csv(folder / "events.csv", index=False, lineterminator="\n")
        self.hours.to_csv(folder / "hours.csv", index=False, lineterminator="\n")
        self.write_intervals(folder / "intervals.parquet")
        if self.scenario.topology is not None:
            text = topology_text(self.scenario.topology)
            (folder / TOPOLOGY).write_text(text, encoding="utf-8", newline="\n")
        if isinstance(self.scenario.routing, ShortestPaths):
            self.flow_service.to_csv(folder / "flows.csv", index=False, lineterminator="\n")
            self.site_totals.to_csv(folder / "sites.csv", index=False, lineterminator="\n")
        if figures and self._drawing is not None:
            self._drawing.write(self, folder)

    def resolved_scenario(self) -> str:
        """Return the scenario as YAML with every default written out and paths made absolute."""
        return resolved_scenario(self.scenario)
