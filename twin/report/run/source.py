"""The data of the report of a run, from a result in memory or from the files of its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import yaml

from twin.account.block import blocks
from twin.account.hours import COUNTED, HOURS
from twin.account.prices import PricesSpec
from twin.account.summary import ALL, Settlement
from twin.account.uncertainty import MeasuredRows
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, one_line
from twin.core.printable import listed
from twin.core.units import duration
from twin.engine.links import LinkSpec, link_specs
from twin.engine.recording import Recording
from twin.results.folder import MANIFEST, read_manifest
from twin.results.manifest import bounds, manifest, replay_starts

if TYPE_CHECKING:
    import pandas as pd

    from twin.results.result import Result


_COLUMNS = (
    "demand_mbps", "allocated_mbps", "capacity_mbps", "efficiency", "over_provisioning_mbps",
    "unmet_mbps",
)  # fmt: skip
_ROWS_AT_ONCE = 200_000
_FLAGS = ("bound", "dominated", "recommended")
_WORDS = ("policy", "link", "kind", "name", "phase", "links", "detail", "knob", "part", *_FLAGS)


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

    @classmethod
    def of(cls, result: Result) -> RunData:
        """Return the data of a run in memory."""
        text = result.resolved_scenario()
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(
            summary=result.summary,
            events=result.events,
            hours=result.hours,
            manifest=manifest(
                result.scenario,
                digest,
                (),
                result.wall_time_s,
                result.recording.forecasts,
                result.recording.unrouted,
            ),
            scenario=yaml.safe_load(text),
            scenario_text=text,
            bounds=frozenset(bounds(result.scenario)),
            starts=replay_starts(result.scenario),
            read_intervals=partial(_recorded, result.recording),
        )

    @classmethod
    def read(cls, folder: Path) -> RunData:
        """Return the data of the run in `folder`. Raises InputError."""
        facts = read_manifest(folder)
        with _readable(folder / MANIFEST):
            digest, starts = facts["scenario"]["sha256"], facts.get("replay_starts")
            sees = frozenset(facts.get("bounds", ()))
            begins = None if starts is None else datetime.fromisoformat(starts)
        with _readable(folder / "scenario.yaml"):
            text = (folder / "scenario.yaml").read_text(encoding="utf-8")
            if hashlib.sha256(text.encode()).hexdigest() != digest:
                raise ValueError("its digest is not the one in the manifest")
            scenario = yaml.safe_load(text)
        needed = ("sla_violation_rate", "unavoidable_violation_minutes", "worst_burn_rate")
        summary = _table(folder / "summary.csv", ("policy", "link", *needed))
        events = _table(folder / "events.csv", ("time_s", "kind", "name", "phase", "links"))
        with _readable(folder / "events.csv"):
            known = set(summary["link"])
            for link in {link for text in set(events["links"]) for link in listed(text)} - known:
                raise ValueError(f"names a link that the summary has not: {link!r}")
        by_hour = _table(folder / "hours.csv", ("policy", "link", "hour", *COUNTED))
        with _readable(folder / "hours.csv"):
            if len(by_hour) != HOURS * len(summary):
                raise ValueError("has other rows than the summary")
        file = folder / "intervals.parquet"
        read_intervals = partial(_stored, file, *_shape(summary))
        turned = _frontier(folder / "frontier.csv")
        return cls(
            summary, events, by_hour, facts, scenario, text, sees, begins, read_intervals, turned
        )

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.scenario["name"])

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies, in the scenario's order."""
        return tuple(str(name) for name in self.summary["policy"].unique())

    @property
    def ranked(self) -> tuple[str, ...]:
        """The policies that are not bounds."""
        return tuple(name for name in self.policies if name not in self.bounds)

    @property
    def links(self) -> tuple[str, ...]:
        """Names of the links, in order."""
        return _shape(self.summary)[1]

    @property
    def intervals(self) -> int:
        """Replayed intervals of a link."""
        return _shape(self.summary)[2]

    @property
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
    def pooled(self) -> pd.DataFrame:
        """The summary of all links together, by policy."""
        return self.summary[self.summary["link"] == ALL].set_index("policy")

    @property
    def by_link(self) -> pd.DataFrame:
        """The summary without the rows that pool all links."""
        return self.summary[self.summary["link"] != ALL]


def _shape(summary: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Return the policies, the links, and the intervals of each."""
    policies = tuple(str(name) for name in summary["policy"].unique())
    first = summary[(summary["policy"] == policies[0]) & (summary["link"] != ALL)]
    return policies, tuple(map(str, first["link"])), int(first["intervals"].iloc[0])


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
    with _readable(file):
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file)
        if table.metadata.num_rows != len(policies) * len(links) * intervals:
            raise ValueError("has other rows than the summary")
        columns = [*_COLUMNS, "violation_s"]
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


def _frontier(file: Path) -> pd.DataFrame | None:
    if not file.is_file():
        return None
    needed = (
        "knob", "value", "sla_violation_rate", "over_provisioning_pct", "part", "intervals",
        "links_within_sla", "links_missing_sla", "cost", *_FLAGS,
    )  # fmt: skip
    table = _table(file, needed)
    return table.assign(**{name: table[name] == "True" for name in _FLAGS})


def _table(file: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    with _readable(file):
        # Python reads a float exactly as it was written; the fast parser of pandas may not.
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        for name in [column for column in table.columns if column not in _WORDS]:
            table[name] = [float(value) if value else np.nan for value in table[name]]
        lacking = [name for name in needed if name not in table.columns]
        if lacking:
            raise ValueError(f"has no column '{lacking[0]}'")
        if "policy" in needed:
            _shape(table)
    return table


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn any error that a missing or damaged file causes into one line."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(Problem("is missing from the run's folder", file=file)) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        what = one_line(str(error)) or type(error).__name__
        raise InputError(Problem(f"cannot be read: {what}", file=file)) from None
