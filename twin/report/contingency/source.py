"""The data of the report of a contingency, from its tables in memory or from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml

from twin.core.units import duration
from twin.report.colours import looks_of
from twin.report.dates import instant_text
from twin.report.files import check_numbers, read_table, readable
from twin.results.manifest_file import check_file
from twin.topology.saved import TOPOLOGY, saved_topology
from twin.topology.topology import Topology

if TYPE_CHECKING:
    import pandas as pd

NONE: Final = "none"
"""Stands for the network as it is, among the failures."""
_TEXTS: Final = ("policy", "failure", "worst_link", "link", "worst_failure", "time")
_FAILURES: Final = (
    "unrouted_mbit", "unserved_mbit", "violation_minutes", "links_violated", "worst_utilization",
    "worst_start_s",
)  # fmt: skip
_CASES: Final = (
    "worst_utilization", "worst_start_s", "capacity_utilization", "violation_minutes",
)  # fmt: skip


@dataclass(frozen=True)
class ContingencyData:
    """All that the report of a contingency is made from."""

    failures: pd.DataFrame
    """A row for each policy and failure, as failures.csv."""
    worst_cases: pd.DataFrame
    """A row for each policy and link, as worst_cases.csv."""
    topology: Topology
    facts: dict[str, Any]
    """The manifest."""
    scenario_text: str

    @classmethod
    def read(cls, folder: Path, facts: dict[str, Any]) -> ContingencyData:
        """Return the data in a folder with this manifest. Raises InputError."""
        files = {
            name: check_file(folder, facts, name)
            for name in ("failures.csv", "worst_cases.csv", TOPOLOGY, "scenario.yaml")
        }
        failures = read_table(files["failures.csv"], ("policy", "failure", "worst_link",
                                                      *_FAILURES), _TEXTS)  # fmt: skip
        cases = read_table(files["worst_cases.csv"], ("policy", "link", "worst_failure", *_CASES),
                           _TEXTS)  # fmt: skip
        text = ""
        with readable(files["scenario.yaml"]):
            text = files["scenario.yaml"].read_text(encoding="utf-8")
        with readable(files[TOPOLOGY]):
            topology = saved_topology(files[TOPOLOGY])
        data = cls(failures, cases, topology, facts, text)
        with readable(files["failures.csv"]):
            check_numbers(failures, [name for name in _FAILURES if name != "worst_utilization"])
            data.check_failures()
        with readable(files["worst_cases.csv"]):
            data.check_cases()
        with readable(files["scenario.yaml"]):
            _ = data.tick_s
        return data

    def check_failures(self) -> None:
        """Raise ValueError where a policy has other failures than the first."""
        each = [list(rows["failure"]) for _, rows in self.failures.groupby("policy", sort=False)]
        if not each or any(names != each[0] for names in each) or NONE not in each[0]:
            raise ValueError("has no row for each policy and failure, and one for none")

    def check_cases(self) -> None:
        """Raise ValueError where there is no row for each policy and link."""
        rows = [(policy, link) for policy in self.policies for link in self.topology.link_names]
        pairs = zip(self.worst_cases["policy"], self.worst_cases["link"], strict=True)
        if list(pairs) != rows:
            raise ValueError("has no row for each policy and link")

    @cached_property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies, in the scenario's order."""
        return tuple(str(name) for name in self.failures["policy"].unique())

    @cached_property
    def ordered(self) -> list[str]:
        """The policies: the one under most failures of which no link falls short first."""
        minutes = {name: self.struck(name)["violation_minutes"].sum() for name in self.policies}
        return sorted(self.policies, key=lambda name: (-self.survived[name], minutes[name]))

    @cached_property
    def names(self) -> list[str]:
        """Names of the failures, the network as it is not among them."""
        first = self.failures[self.failures["policy"] == self.policies[0]]
        return [str(name) for name in first["failure"] if name != NONE]

    @cached_property
    def looks(self) -> dict[str, int]:
        """The number of each policy's look."""
        return looks_of(self.policies)

    @cached_property
    def survived(self) -> dict[str, int]:
        """By policy, under how many failures no link falls short at any tick."""
        return {
            name: int((self.struck(name)["violation_minutes"] == 0).sum()) for name in self.policies
        }

    @cached_property
    def shares(self) -> dict[str, float]:
        """By policy, in what share of all failures and ticks no link falls short."""
        known = self.facts.get("intervals", 0) - self.facts.get("intervals_skipped", 0)
        if "intervals_violated" not in self.failures.columns or not known or not self.names:
            return {}
        ticks = known * len(self.names)
        return {
            name: 1 - float(self.struck(name)["intervals_violated"].sum()) / ticks
            for name in self.ordered
        }

    @cached_property
    def tick_s(self) -> int:
        """Length of an interval, seconds."""
        return int(duration(yaml.safe_load(self.scenario_text)["tick"]))

    def instant(self, seconds: float) -> str:
        """Return an instant of the replay: its local date where that is known, else how long."""
        starts = self.facts.get("replay_starts")
        begin = None if starts is None else datetime.fromisoformat(starts)
        return instant_text(seconds, begin, self.facts["trace"].get("timezone"))

    def struck(self, policy: str) -> pd.DataFrame:
        """Return the failures under a policy, the worst first."""
        rows = self.failures[self.failures["policy"] == policy]
        keys = ["violation_minutes", "unserved_mbit", "worst_utilization"]
        return rows[rows["failure"] != NONE].sort_values(keys, ascending=False, kind="stable")

    def intact(self, policy: str) -> dict[str, Any]:
        """Return the row of the network as it is."""
        rows = self.failures[self.failures["policy"] == policy]
        (row,) = rows[rows["failure"] == NONE].to_dict("records")
        return {str(key): value for key, value in row.items()}

    def cases(self, policy: str) -> list[dict[str, Any]]:
        """Return the worst case of each link under a policy, in order of the links."""
        rows = self.worst_cases[self.worst_cases["policy"] == policy].to_dict("records")
        return [{str(key): value for key, value in row.items()} for row in rows]


def links_down(topology: Topology, failure: str) -> list[int]:
    """Return the places of the links that a failure takes down, by its name.

    A failure is named by its site, its group, or its links joined by ``+``.
    """
    if failure in topology.site_names:
        return np.flatnonzero(topology.at_site(failure)).tolist()
    place = {name: i for i, name in enumerate(topology.link_names)}
    if failure in topology.risk_groups:
        return [place[name] for name in topology.risk_groups[failure]]
    found, parts = [], failure.split("+")
    while parts:
        # A name may itself hold a plus.
        ends = (n for n in range(len(parts), 0, -1) if "+".join(parts[:n]) in place)
        size = next(ends, 1)
        name = "+".join(parts[:size])
        found += [place[name]] if name in place else []
        parts = parts[size:]
    return sorted(found)
