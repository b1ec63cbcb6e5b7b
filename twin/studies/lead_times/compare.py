"""One scenario at several lead times: all its policies on one demand, with each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twin.account.summary import ALL
from twin.api.run import run
from twin.core.units import Seconds
from twin.engine.links import LinkSpec, Spread
from twin.engine.recording import ForecastUse
from twin.results.manifest import bounds
from twin.results.result import Result
from twin.scenario.load import Scenario

if TYPE_CHECKING:
    import pandas as pd

FIRST: Final = ("policy", "lead_time_s", "bound", "links_within_sla", "links_missing_sla",
                "worst_link_violation_rate")  # fmt: skip
"""Columns of the table before those of a run's summary."""


@dataclass(frozen=True, slots=True)
class LeadTimeTable:
    """What every policy did at every lead time, over all links of a scenario."""

    name: str
    """The scenario's."""
    table: pd.DataFrame
    """A row for each policy and lead time, policies in the scenario's order and lead times rising:
    the columns :data:`FIRST` (`lead_time_s` in seconds, `bound` for a policy that sees the future,
    the largest share of violated intervals of any link), then those of a run's summary for all
    links."""

    @property
    def lead_times(self) -> list[float]:
        """The lead times, seconds, rising."""
        return sorted({float(lead) for lead in self.table["lead_time_s"]})

    @property
    def links(self) -> int:
        """Number of links."""
        first = self.table.iloc[0]
        return int(first["links_within_sla"] + first["links_missing_sla"])

    @property
    def policies(self) -> list[str]:
        """Names of the policies, bounds included, in the scenario's order."""
        return list(dict.fromkeys(self.table["policy"]))

    def best(self, lead: float) -> pd.Series[Any] | None:
        """Return the row of the policy that keeps the SLA on every link at the least waste.

        None where no policy does; bounds do not count.
        """
        rows = self.table[(self.table["lead_time_s"] == lead) & ~self.table["bound"]]
        held = rows[rows["links_missing_sla"] == 0]
        if held.empty:
            return None
        return held.sort_values("over_provisioning_pct", kind="stable").iloc[0]


@dataclass(frozen=True, slots=True)
class LeadTimes(LeadTimeTable):
    """The same, with what was run."""

    scenario: Scenario
    forecasts: dict[float, ForecastUse]
    """Which forecasters were run, by lead time."""
    resolved: str
    """The scenario as YAML, with the lead times that it states itself."""
    wall_time_s: float

    @property
    def too_long(self) -> list[float]:
        """The lead times in which no decision after the first takes effect within the replay."""
        scenario = self.scenario
        tick_s = scenario.trace.tick_s
        end = scenario.span.horizon(tick_s)
        # The first decision is in force at once, and the second is taken a tick later.
        return [lead for lead in self.lead_times if tick_s + lead >= end]


def compare(
    scenario: Scenario,
    lead_times: Sequence[float],
    progress: Callable[[int, int], None] | None = None,
) -> LeadTimes:
    """Run a scenario with each of `lead_times`, seconds, on all its links, whatever they state.

    `progress` is called now and then with the intervals done and their number, of all runs. Raises
    InputError for what cannot be used and RunError where a policy fails.
    """
    import pandas as pd

    begin, leads = time.perf_counter(), sorted(set(lead_times))
    length = scenario.span.intervals
    tables, forecasts, resolved = [], {}, ""
    for place, lead in enumerate(leads):
        show = progress and partial(_shown, progress, place * length, len(leads) * length)
        # Summary and counts alone are kept: recordings of all runs at once would take much memory.
        result = run(at_lead_time(scenario, lead), progress=show)
        tables.append(_rows(result, lead))
        forecasts[lead] = result.recording.forecasts
        resolved = Result(scenario, result.recording, 0.0).resolved_scenario()
    table = pd.concat(tables, ignore_index=True)
    order = {choice.name: place for place, choice in enumerate(scenario.policies)}
    table = table.sort_values("policy", key=lambda names: names.map(order), kind="stable")
    seconds = time.perf_counter() - begin
    name, table = scenario.spec.name, table.reset_index(drop=True)
    return LeadTimes(name, table, scenario, forecasts, resolved, seconds)


def at_lead_time(scenario: Scenario, lead: float) -> Scenario:
    """Return the scenario with one fixed lead time, seconds, on all links."""
    fixed = {"lead_time": Spread(low=Seconds(lead), high=Seconds(lead))}
    stated = {"defaults": LinkSpec(), **scenario.spec.links}
    links = {
        name: link.model_copy(update=fixed)
        if name == "defaults" or "lead_time" in link.model_fields_set
        else link
        for name, link in stated.items()
    }
    return replace(scenario, spec=scenario.spec.model_copy(update={"links": links}))


def _shown(
    progress: Callable[[int, int], None], before: int, total: int, done: int, _: int
) -> None:
    progress(before + done, total)


def _rows(result: Result, lead: float) -> pd.DataFrame:
    summary, target = result.summary, result.scenario.spec.sla.target
    whole = summary["link"] == ALL
    links = summary[~whole]
    # A link without a known interval has no violation.
    rates = links["sla_violation_rate"].fillna(0.0)
    by_policy = links["policy"]
    kept = (rates <= target).groupby(by_policy, sort=False)
    table = summary[whole].drop(columns="link")
    first: dict[str, Any] = {
        "lead_time_s": lead,
        "bound": table["policy"].isin(bounds(result.scenario)),
        "links_within_sla": kept.sum().to_numpy(),
        "links_missing_sla": (kept.size() - kept.sum()).to_numpy(),
        "worst_link_violation_rate": rates.groupby(by_policy, sort=False).max().to_numpy(),
    }
    table = table.assign(**first)
    return table[[*FIRST, *(name for name in table.columns if name not in FIRST)]]
