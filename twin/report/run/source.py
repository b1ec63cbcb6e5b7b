"""The data of the report of a run, from a result in memory or from the files of its folder."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import yaml

from twin.account.block import blocks
from twin.account.hours import COUNTED, HOURS
from twin.account.prices import PricesSpec
from twin.account.summary import ALL, COLUMNS, Settlement
from twin.account.uncertainty import MeasuredRows
from twin.core.arrays import Floats
from twin.core.printable import listed
from twin.core.units import duration
from twin.engine.links import LinkSpec, link_specs
from twin.engine.recording import Recording
from twin.report.colours import looks_of
from twin.report.dates import instant_text
from twin.report.files import check_numbers, read_table, readable
from twin.results.folder import read_manifest
from twin.results.manifest import bounds, replay_starts
from twin.results.manifest_file import check_file
from twin.topology.saved import TOPOLOGY, saved_topology
from twin.topology.topology import Topology

if TYPE_CHECKING:
    import pandas as pd

    from twin.results.result import Result


FRONTIER = "frontier.csv"

_COLUMNS = (
    "demand_mbps", "allocated_mbps", "capacity_mbps", "efficiency", "over_provisioning_mbps",
    "unmet_mbps",
)  # fmt: skip
_COUNTS = (
    "intervals", "missing_intervals", "sla_used_intervals", "sla_allowed_intervals",
)  # fmt: skip
_PARTS = ("history", "replay")
_ROWS_AT_ONCE = 200_000
_FLAGS = ("bound", "dominated", "recommended")
_WORDS = (
    "policy", "link", "kind", "name", "phase", "links", "detail", "time", "knob", "part", *_FLAGS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LinkIntervals:
    """All intervals of some links under one policy; arrays are [links, intervals]."""

    policy: str
    links: tuple[str, ...]
    demand: Floats
    """Mbit/s; NaN where missing."""
    allocated: Floats
    """Mbit/s"""
    capacity: Floats
    """Mbit/s; infinite where unlimited."""
    efficiency: Floats
    over_provisioning: Floats
    """Mbit/s"""
    unmet: Floats
    """Mbit/s"""
    violation_s: Floats

    @property
    def rows(self) -> MeasuredRows:
        """What is added up over stretches of time."""
        return MeasuredRows(
            self.demand, self.allocated, self.over_provisioning, self.unmet, self.violation_s
        )


class IntervalReader(Protocol):
    """Reads the account of every interval, policy by policy, some links at a time."""

    def __call__(self, link: str | None = None) -> Iterator[LinkIntervals]:
        """Yield all blocks of intervals, or those that hold `link`."""


@dataclass(frozen=True)
class RunData:
    """All that the report of a run is made from."""

    summary: pd.DataFrame
    events: pd.DataFrame
    hours: pd.DataFrame
    manifest: dict[str, Any]
    scenario: dict[str, Any]
    """The scenario as resolved."""
    scenario_text: str
    bounds: frozenset[str]
    """Policies that see the future: shown, never ranked."""
    starts: datetime | None
    """Time at which the replay starts, where it is known."""
    read_intervals: IntervalReader
    frontier: pd.DataFrame | None = None
    """What each policy's knob buys, where the folder holds it."""
    topology: Topology | None = None
    """The network, where the scenario has one."""

    @property
    def timezone(self) -> str | None:
        """Whose clocks show its times, where that is stated."""
        zone: str | None = self.manifest["trace"].get("timezone")
        return zone

    def instant(self, seconds: float) -> str:
        """Return an instant of the replay: its local date where that is known, else how long."""
        return instant_text(seconds, self.starts, self.timezone)

    @classmethod
    def of(cls, result: Result) -> RunData:
        """Return the data of a run in memory."""
        text = result.resolved_scenario()
        return cls(
            summary=result.summary,
            events=result.events,
            hours=result.hours,
            manifest=result.manifest,
            scenario=yaml.safe_load(text),
            scenario_text=text,
            bounds=frozenset(bounds(result.scenario)),
            starts=replay_starts(result.scenario),
            read_intervals=partial(_recorded, result.recording),
            topology=result.scenario.topology,
        )

    @classmethod
    def read(cls, folder: Path) -> RunData:
        """Return the data of the run in `folder`. Raises InputError."""
        facts = read_manifest(folder)
        file, hours, intervals = (
            check_file(folder, facts, name)
            for name in ("scenario.yaml", "hours.csv", "intervals.parquet")
        )
        kept = check_file(folder, facts, "summary.csv")
        summary = _read(kept, COLUMNS)
        with readable(kept):
            _check_summary(summary)
        columns = ("time_s", "kind", "name", "phase", "links")
        events = _read(check_file(folder, facts, "events.csv"), columns)
        with readable(folder / "events.csv"):
            check_numbers(events, ("time_s",))
            known = set(summary["link"])
            for link in {link for text in set(events["links"]) for link in listed(text)} - known:
                raise ValueError(f"names a link that the summary has not: {link!r}")
        by_hour = _read(hours, ("policy", "link", "hour", *COUNTED))
        with readable(hours):
            keys = [
                (policy, link, hour) for policy, link in _rows(summary) for hour in range(HOURS)
            ]
            if list(zip(*(by_hour[k] for k in ("policy", "link", "hour")), strict=True)) != keys:
                raise ValueError("has other rows than the summary")
            check_numbers(by_hour, COUNTED)
        starts, text = facts["replay_starts"], ""
        with readable(file):
            text = file.read_text(encoding="utf-8")
            data = cls(
                summary, events, by_hour, facts, yaml.safe_load(text), text,
                frozenset(facts["bounds"]),
                None if starts is None else datetime.fromisoformat(starts),
                partial(_stored, intervals, *_shape(summary)),
            )  # fmt: skip
            data._check_scenario()
        if TOPOLOGY in facts["files"]:
            data = data._with_topology(check_file(folder, facts, TOPOLOGY))
        if FRONTIER in facts["files"]:
            data = data.with_frontier(check_file(folder, facts, FRONTIER))
        return data

    def with_frontier(self, file: Path) -> RunData:
        """Return the data with what is in the file of a frontier. Raises InputError."""
        needed = (
            "policy", "knob", "value", "sla_violation_rate", "over_provisioning_pct", "part",
            "intervals",
            "links_within_sla", "links_missing_sla", "cost", *_FLAGS,
        )  # fmt: skip
        table = _read(file, needed)
        with readable(file):
            past, replayed = (
                table[table["part"] == part].groupby("policy").size() for part in _PARTS
            )
            if len(past) == 0 or not past.equals(replayed):
                raise ValueError("has other settings in the history than in the replay")
            check_numbers(table, ("intervals", "links_within_sla", "links_missing_sla"))
        return replace(self, frontier=table.assign(**{n: table[n] == "True" for n in _FLAGS}))

    def _with_topology(self, file: Path) -> RunData:
        with readable(file):
            topology = saved_topology(file)
            if not set(self.links) <= set(topology.link_names):
                raise ValueError("lacks a link that the summary has")
        return replace(self, topology=topology)

    def _check_scenario(self) -> None:
        """Read what the report takes from the scenario. Raises what a damaged one causes."""
        _ = self.name, self.tick_s, self.target, self.settlement, self.fallback
        _ = self.scenario["seed"], [entry["name"] for entry in self.scenario["policies"]]

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.scenario["name"])

    @cached_property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies, in the scenario's order."""
        return tuple(str(name) for name in self.summary["policy"].unique())

    @cached_property
    def ranked(self) -> tuple[str, ...]:
        """The policies that are not bounds."""
        return tuple(name for name in self.policies if name not in self.bounds)

    @cached_property
    def looks(self) -> dict[str, int]:
        """The number of each policy's look."""
        return looks_of(self.policies)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Names of the links, in order."""
        return _shape(self.summary)[1]

    @cached_property
    def intervals(self) -> int:
        """Replayed intervals of a link."""
        return _shape(self.summary)[2]

    @cached_property
    def tick_s(self) -> int:
        """Length of an interval, seconds."""
        return int(duration(self.scenario["tick"]))

    @property
    def target(self) -> float:
        """Largest share of violated intervals, per link."""
        return float(self.scenario["sla"]["target"])

    @cached_property
    def settlement(self) -> Settlement:
        """What its summary is settled by, its power apart."""
        links = {name: LinkSpec.model_validate(keys) for name, keys in self._blocks("links")}
        change_cost = np.array([link.change_cost for link in link_specs(links, self.links)])
        prices = dict(self._blocks("prices"))
        stated = self.scenario["sla"].get("period")
        period = 0 if stated is None else max(int(duration(stated) / self.tick_s), 1)
        paid = PricesSpec.model_validate(prices) if "prices" in self.scenario else None
        return Settlement(self.target, paid, change_cost, period)

    def _blocks(self, key: str) -> list[tuple[str, Any]]:
        return list(self.scenario.get(key, {}).items())

    @property
    def fallback(self) -> str:
        """The policy that decides where another fails; empty where none is stated."""
        return str(self.scenario.get("fallback", {}).get("use", ""))

    @property
    def rerouted(self) -> bool:
        """Whether the traffic of a failed link goes elsewhere."""
        matrix = self.scenario.get("demand", {}).get("source") == "matrix"
        return (matrix and self.topology is not None) or bool(self.scenario.get("backup"))

    @cached_property
    def cells(self) -> dict[tuple[str, str], dict[Hashable, Any]]:
        """The rows of the summary by policy and link."""
        return {
            (str(row["policy"]), str(row["link"])): row for row in self.summary.to_dict("records")
        }

    @cached_property
    def pooled(self) -> pd.DataFrame:
        """The summary of all links together, by policy."""
        return self.summary[self.summary["link"] == ALL].set_index("policy")

    @cached_property
    def by_link(self) -> pd.DataFrame:
        """The summary without the rows that pool all links."""
        return self.summary[self.summary["link"] != ALL]


def _read(file: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    return read_table(file, needed, _WORDS)


def _shape(summary: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Return the policies, the links, and the intervals of each."""
    policies = tuple(str(name) for name in summary["policy"].unique())
    first = summary[(summary["policy"] == policies[0]) & (summary["link"] != ALL)]
    return policies, tuple(map(str, first["link"])), int(first["intervals"].iloc[0])


def _check_summary(summary: pd.DataFrame) -> None:
    """Raise ValueError for a summary that no run has."""
    policies, links, _ = _shape(summary)
    rows = [(policy, link) for policy in policies for link in (*links, ALL)]
    if _rows(summary) != rows:
        raise ValueError("has no row for each policy and link, and one for all links")
    check_numbers(summary, (*_COUNTS, "sla_violation_rate"))


def _rows(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["policy"], table["link"], strict=True))


def _recorded(recording: Recording, link: str | None = None) -> Iterator[LinkIntervals]:
    for lane in recording.lanes:
        for block in blocks(recording, lane, link):
            shape, metrics = block.demand.shape, block.metrics
            capacity = np.full(shape, np.inf) if block.capacity is None else block.capacity
            allocated = np.broadcast_to(block.allocated, shape)
            yield LinkIntervals(
                lane.name, block.links, block.demand, allocated, capacity,
                metrics.efficiency, metrics.over_provisioning, metrics.unmet, metrics.violation_s,
            )  # fmt: skip


def _stored(
    file: Path,
    policies: tuple[str, ...],
    links: tuple[str, ...],
    intervals: int,
    link: str | None = None,
) -> Iterator[LinkIntervals]:
    """Yield the rows of a file, which are in order of policy, link and interval."""
    with readable(file):
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file)
        if table.metadata.num_rows != len(policies) * len(links) * intervals:
            raise ValueError("has other rows than the summary")
        columns = [*_COLUMNS, "violation_s"]
        for name in columns:
            kind = table.schema_arrow.field(name).type
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                raise ValueError(f"column '{name}' holds what is no number")
        waiting = pa.Table.from_batches([], table.schema_arrow).select(columns)
        lanes = iter([(policy, name) for policy in policies for name in links])
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=columns):
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
            whole = len(waiting) // intervals
            arrays = [
                waiting[name].slice(0, whole * intervals).to_numpy().reshape(whole, intervals)
                for name in columns
            ]
            waiting = waiting.slice(whole * intervals)
            for i in range(whole):
                policy, name = next(lanes)
                if link in {None, name}:
                    rows = (array[i : i + 1] for array in arrays)
                    yield _sound(LinkIntervals(policy, (name,), *rows))


def _sound(block: LinkIntervals) -> LinkIntervals:
    """Return a block if its values are possible. Raises ValueError otherwise."""
    known = ~np.isnan(block.demand)
    possible = (block.efficiency >= 0) & (block.efficiency <= 1) & (block.unmet >= 0)
    if not (possible[known].all() and (block.violation_s >= 0).all()):
        raise ValueError(f"holds values of {block.policy} that no run has")
    return block
