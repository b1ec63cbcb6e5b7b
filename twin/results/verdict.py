"""The verdict of a run in the few lines that a terminal shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from twin.account.ranking import COST, Ranking, in_order, kept_by
from twin.account.summary import ALL
from twin.account.uncertainty import Difference
from twin.core.rounding import allowed
from twin.core.units import counted, format_duration
from twin.results.manifest import bounds

if TYPE_CHECKING:
    import pandas as pd

    from twin.results.result import Result


def ranking_of(result: Result) -> Ranking:
    """Return what the policies of a run are ranked by."""
    return Ranking(result.account.sums, result.settlement, result.recording.tick_s)


def ordered(result: Result) -> list[str]:
    """Return the policies as a table lists them.

    With prices those that keep the SLA on every link come first, by cost, and bounds last; without
    they stay as the scenario has them.
    """
    names = [lane.name for lane in result.recording.lanes]
    if ranking_of(result).metric != COST:
        return names
    sees = set(bounds(result.scenario))
    order = _order(result, names)
    return [name for name in order if name not in sees] + [n for n in order if n in sees]


def verdict_lines(result: Result) -> list[str]:
    """Return what the SLA allows, who keeps it on every link, and who of them comes first."""
    sees = set(bounds(result.scenario))
    names = [lane.name for lane in result.recording.lanes if lane.name not in sees]
    if not names:
        return [_terms(result)]
    order, kept = _order(result, names), _kept(result)
    keepers = [name for name in order if kept[name] == len(result.recording.links)]
    first = _first(result, keepers) if keepers else _closest(result, names, kept)
    return [_terms(result), first]


def _order(result: Result, names: Sequence[str]) -> list[str]:
    column = _pooled(result)[ranking_of(result).metric]
    values = {name: float(column[name]) for name in names}
    links, kept = len(result.recording.links), _kept(result)
    return in_order(names, {name: kept[name] == links for name in names}, values)


def _kept(result: Result) -> dict[str, int]:
    summary = result.summary
    return kept_by(summary[summary["link"] != ALL])


def _pooled(result: Result) -> pd.DataFrame:
    summary = result.summary
    return summary[summary["link"] == ALL].set_index("policy")


def _terms(result: Result) -> str:
    spec, recording = result.scenario.spec, result.recording
    period = min(result.settlement.sla_period or recording.intervals, recording.intervals)
    limit = int(allowed(spec.sla.target, np.array([period]))[0])
    each = "" if spec.sla.period is None else f" in each {format_duration(spec.sla.period)}"
    strict = {0: ": one violated interval breaks it", 1: ": a second one breaks it"}.get(limit, "")
    share = f"{100 * spec.sla.target:.3g} %"
    return f"SLA: at most {limit:,} of {period:,} intervals of each link{each} ({share}){strict}"


def _first(result: Result, keepers: Sequence[str]) -> str:
    ranking, (best, *others) = ranking_of(result), keepers
    value = _value(ranking, float(_pooled(result)[ranking.metric][best]))
    if not others:
        return f"Kept on every link by {best} alone, {value}"
    alike = ranking.alike(best, others)
    if alike:
        apart = ranking.difference(alike[0], best)
        names = f"{', '.join([best, *alike[:-1]])} and {alike[-1]}"
        return (
            f"Kept on every link; first are {names}, {value} ({best}), which cannot be told apart: "
            f"{alike[0]} {_apart(ranking, apart)}"
        )
    apart = ranking.difference(others[0], best)
    return f"Kept on every link; first is {best}, {value}; {others[0]} {_apart(ranking, apart)}"


def _closest(result: Result, names: Sequence[str], kept: dict[str, int]) -> str:
    worst = _pooled(result)["worst_burn_rate"].fillna(-1.0)
    best = min(names, key=lambda name: (-kept[name], worst[name]))
    pooled, links = _pooled(result), len(result.recording.links)
    used = int(pooled["sla_used_intervals"][best])
    limit = int(pooled["sla_allowed_intervals"][best])
    return (
        f"No policy keeps it on every link; closest is {best}: {kept[best]} of "
        f"{counted(links, 'link')}, the worst with {used:,} violated intervals where {limit:,} "
        f"{'is' if limit == 1 else 'are'} allowed"
    )


def _value(ranking: Ranking, value: float) -> str:
    if ranking.metric == COST:
        return f"at a cost of {value:,.4g}"
    return "without demand" if np.isnan(value) else f"over-provisioning {value:.3g} % of demand"


def _apart(ranking: Ranking, apart: Difference) -> str:
    size = f"{apart.mean:+.3g}"
    if not np.isnan(apart.half_width):
        size += f" \N{PLUS-MINUS SIGN} {apart.half_width:.2g}"
    return size if ranking.metric == COST else f"{size} points"
