"""The verdict of a run, in sentences that need no statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twin.account.uncertainty import Difference
from twin.core.rounding import allowed
from twin.core.units import counted, format_duration

_NEAR = 3
"""A policy that misses the SLA is mentioned up to this many times the target."""


@dataclass(frozen=True, slots=True)
class SlaScore:
    """How one policy did against the SLA."""

    name: str
    within: int
    """Links that kept the target."""
    within_servable: int
    """Links that kept it when intervals that no allocation could have served do not count."""
    links: int
    worst_link: str
    worst_rate: float
    """Share of violated intervals on the link that has most of them, in its worst period."""
    allowed: int
    """How many that may be."""
    used: int
    """How many they are."""
    interval: tuple[float, float]
    """Ends of the 95 % interval of that link's share, over the replay."""
    minutes: float
    """Violated minutes, over all links."""
    waste_pct: float
    """Over-provisioning, % of mean demand."""
    allocated: float
    """Mean allocation of a link, Mbit/s."""
    causes: Mapping[str, float]
    """Violated minutes by cause: `unservable`, `onset`, `event` and `ordinary`."""
    static: bool = False
    """Whether it is a static rule."""
    cost: float = float("nan")
    """At the scenario's prices; NaN without."""

    @property
    def keeps(self) -> bool:
        """Whether every link kept the target."""
        return self.within == self.links

    @property
    def nearly(self) -> bool:
        """Whether every link kept it wherever any allocation could have."""
        return self.within_servable == self.links


@dataclass(frozen=True, slots=True)
class SlaTerms:
    """What the SLA asks for."""

    target: float
    """Largest share of violated intervals, per link."""
    intervals: int
    """Of a period, or of the replay where that is shorter."""
    tick_s: int
    hopeless: Mapping[str, float]
    """Links whose demand was above their capacity in a larger share of intervals than that."""


Compare = Callable[[str, str], Difference]
"""How much more of what decides, cost or over-provisioning, one policy has than another."""


def verdict(scores: Sequence[SlaScore], sla: SlaTerms, compare: Compare | None = None) -> list[str]:
    """Return the verdict: who keeps the SLA at least cost or waste, or who comes closest and why.

    With `compare` it names no winner where the difference to the next may be chance.
    """
    best = recommended(scores)
    if best is None:
        return ["Only bounds were run, which see the future: there is no policy to recommend."]
    keepers = sorted((score for score in scores if score.keeps), key=_place)
    if keepers:
        alike = [] if compare is None else _alike(keepers, compare)
        first = _tied(alike, sla, compare) if compare and alike else _kept(keepers, sla)
        sentences = [first, _budget(best), *_next(keepers, alike, compare)]
        sentences += _cheaper(best, scores, sla)
    else:
        sentences = [*_missed(best, sla), _budget(best), _why(best)]
    return [*sentences, *_statics(best, scores), *_strict(sla)]


def recommended(scores: Sequence[SlaScore]) -> SlaScore | None:
    """Return the policy that the verdict is about, None where there is none.

    It keeps the SLA at least cost, or without prices with least waste; else it keeps it wherever
    any allocation could have; else it comes closest.
    """
    keepers = [score for score in scores if score.keeps]
    nearly = [score for score in scores if score.nearly]
    if keepers or nearly:
        return min(keepers or nearly, key=_place)
    return min(scores, key=_distance, default=None)


def _place(score: SlaScore) -> tuple[float, ...]:
    return _low(score.cost), _low(score.waste_pct), score.minutes


def _alike(keepers: Sequence[SlaScore], compare: Compare) -> list[SlaScore]:
    """Return the first and those that cannot be told apart from it; none if all can."""
    best, *others = keepers
    alike = [other for other in others if not compare(other.name, best.name).sure]
    return [best, *alike] if alike else []


def percent(share: float) -> str:
    """Return a share as percent, with three significant digits."""
    return f"{100 * share:.3g} %"


def _distance(score: SlaScore) -> tuple[float, ...]:
    return (
        -score.within_servable,
        score.minutes,
        score.worst_rate,
        _low(score.waste_pct),
    )


def _low(value: float) -> float:
    return float("inf") if value != value else value


def _sla(sla: SlaTerms) -> str:
    return (
        f"unserved demand in at most {percent(sla.target)} of the "
        f"{format_duration(sla.tick_s)} intervals of every link, "
        f"{_allowed(sla):,} of {sla.intervals:,}"
    )


def _allowed(sla: SlaTerms) -> int:
    return int(allowed(sla.target, np.array([sla.intervals]))[0])


def _kept(keepers: Sequence[SlaScore], sla: SlaTerms) -> str:
    best = keepers[0]
    alone = len(keepers) == 1
    only = f"Only {best.name} keeps" if alone else f"{best.name} keeps"
    least = "" if alone else f" {_least(best)}"
    return f"{only} the SLA ({_sla(sla)}) on {_links(best)}{least}: it {_waste(best)}."


def _least(best: SlaScore) -> str:
    return "with the least waste" if np.isnan(best.cost) else "at the least cost"


def _links(best: SlaScore) -> str:
    return "its only link" if best.links == 1 else f"all {best.links:,} links"


def _tied(alike: Sequence[SlaScore], sla: SlaTerms, compare: Compare) -> str:
    """Say which policies keep the SLA and are as good as each other, as far as the run can tell."""
    best, *others = alike
    *names, last = (score.name for score in alike)
    by = "over-provisioning" if np.isnan(best.cost) else "cost"
    apart = "; ".join(
        f"{other.name} has {_apart(best, compare(other.name, best.name))}" for other in others[:3]
    )
    first = f"{', '.join(names)} and {last} keep the SLA ({_sla(sla)}) on {_links(best)}"
    first += f" and cannot be told apart by {by}"
    return f"{first}: against {best.name}, which {_waste(best)}, {apart}."


def _apart(best: SlaScore, apart: Difference) -> str:
    size = f"{abs(apart.mean):.3g}"
    if not np.isnan(apart.half_width):
        size += f" \N{PLUS-MINUS SIGN} {apart.half_width:.2g}"
    unit = " points of % of demand" if np.isnan(best.cost) else ""
    return f"{size}{unit} {'less' if apart.mean < 0 else 'more'}"


def _budget(best: SlaScore) -> str:
    """Say what the link that uses most of its error budget has used, and how sure its share is."""
    low, high = best.interval
    sure = (
        ""
        if np.isnan(low)
        else (f" (95 % interval of its violated share: {percent(low)} to {percent(high)})")
    )
    whom = f"On {best.worst_link}, its worst link, {best.name}"
    if not best.allowed:
        short = f"had {counted(best.used, 'violated interval')}" if best.used else "had none"
        return f"The SLA allows no violated interval. {whom} {short}{sure}."
    return (
        f"{whom} used {best.used:,} of the {counted(best.allowed, 'violated interval')} that the "
        f"SLA allows{sure}."
    )


def _next(
    keepers: Sequence[SlaScore], alike: Sequence[SlaScore], compare: Compare | None
) -> list[str]:
    """Say by how much the next policy that keeps the SLA is behind, if that is no chance."""
    behind = keepers[max(len(alike), 1) :]
    if compare is None or not behind:
        return []
    best, near = keepers[0], next(s for s in keepers[1:] if s not in alike)
    what = "over-provisions" if np.isnan(best.cost) else "costs"
    return [f"{near.name}, which comes next, {what} {_apart(best, compare(near.name, best.name))}."]


def _waste(score: SlaScore) -> str:
    amount = f"reserves {score.allocated:,.0f} Mbit/s per link on average"
    if score.cost == score.cost:
        amount = f"costs {score.cost:,.4g}, {amount}"
    if score.waste_pct != score.waste_pct:
        return amount
    return f"{amount} and wastes {score.waste_pct:.3g} % of demand"


def _cheaper(best: SlaScore, scores: Sequence[SlaScore], sla: SlaTerms) -> list[str]:
    """Say which policy wastes far less and misses the SLA by little."""
    others = [
        s
        for s in scores
        if not s.keeps and s.waste_pct < 0.6 * best.waste_pct and s.worst_rate <= _NEAR * sla.target
    ]
    if not others:
        return []
    near = min(others, key=_distance)
    return [
        f"{near.name} would need only {near.allocated:,.0f} Mbit/s, but keeps the SLA on "
        f"{near.within:,} of {near.links:,} links, with {near.worst_link} short in "
        f"{percent(near.worst_rate)} of intervals."
    ]


def _missed(best: SlaScore, sla: SlaTerms) -> list[str]:
    sentences = [f"No policy keeps the SLA ({_sla(sla)})."]
    if sla.hopeless:
        link, share = max(sla.hopeless.items(), key=lambda item: item[1])
        others = counted(len(sla.hopeless) - 1, "other link")
        also = f" and {others}" if len(sla.hopeless) > 1 else ""
        sentences = [
            f"{sentences[0][:-1]}, and none could: {link}{also} had less capacity than demand, "
            f"{link} in {percent(share)} of intervals."
        ]
    within = f"{best.within:,} of {counted(best.links, 'link')} within it"
    if best.nearly:
        return [
            *sentences,
            f"Apart from what no allocation could have served, {best.name} keeps it with the "
            f"least waste ({within} in all): it {_waste(best)}.",
        ]
    return [
        *sentences,
        f"{best.name} comes closest: {within}, the worst, {best.worst_link}, short in "
        f"{percent(best.worst_rate)} of intervals; it {_waste(best)}.",
    ]


_REASONS = {
    "unservable": "when demand was above the capacity that the link had left, "
    "which no allocation could have served",
    "onset": "between the start of an event and the next tick, before any observation of it",
    "event": "later in an event",
    "ordinary": "outside of events",
}


def _why(best: SlaScore) -> str:
    parts = [
        f"{minutes:,.0f} fell {_REASONS[cause]}"
        for cause, minutes in best.causes.items()
        if minutes >= 0.5
    ]
    if not parts:
        return f"It is short for {60 * best.minutes:,.3g} seconds in all."
    return f"Of its {best.minutes:,.0f} violated minutes, summed over links, {'; '.join(parts)}."


def _statics(best: SlaScore, scores: Sequence[SlaScore]) -> list[str]:
    """Say what static rules would have cost instead."""
    others = [s for s in scores if s.static and s.name != best.name]
    if not others:
        return []
    amounts = " and ".join(
        f"{s.allocated:,.0f} Mbit/s{_times(s, best)} and {s.minutes:,.0f} violated minutes "
        f"with {s.name}"
        for s in others
    )
    rules = "other static rule" if best.static else "static rule"
    rules += "s" * (len(others) > 1)
    return [
        f"The {rules} would have meant {amounts} on the same demand, "
        f"against {best.minutes:,.0f} with {best.name}."
    ]


def _times(score: SlaScore, best: SlaScore) -> str:
    if not best.allocated > 0:
        return ""
    return f" ({score.allocated / best.allocated:.2g} times as much)"


def _strict(sla: SlaTerms) -> list[str]:
    """Say where the budget is so small that one interval decides."""
    some_intervals = f"a link has {sla.intervals:,} intervals to be judged by"
    if _allowed(sla) > 1:
        return []
    if _allowed(sla) == 1:
        return [
            f"The SLA is strict: {some_intervals}, so {percent(sla.target)} is one violated "
            "interval, and a second one breaks it."
        ]
    return [
        f"The SLA is strict: {some_intervals}, so one violated interval breaks "
        f"{percent(sla.target)}."
    ]
