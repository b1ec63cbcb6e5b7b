"""The verdict of a run, in sentences that need no statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    """Share of violated intervals on the link that has most of them."""
    minutes: float
    """Violated minutes, over all links."""
    waste_pct: float
    """Over-provisioning, % of mean demand."""
    allocated: float
    """Mean allocation of a link, Mbit/s."""
    causes: Mapping[str, float]
    """Violated minutes by cause: `unservable`, `onset`, `event` and `ordinary`."""
    static: bool = False
    """Whether it is one of the paper's static rules."""

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
    tick_s: int
    hopeless: Mapping[str, float]
    """Links whose demand was above their capacity in a larger share of intervals than that."""


def verdict(scores: Sequence[SlaScore], sla: SlaTerms) -> list[str]:
    """Return the verdict: who keeps the SLA with least waste, or who comes closest and why."""
    best = recommended(scores)
    if best is None:
        return ["Only bounds were run, which see the future: there is no policy to recommend."]
    keepers = sum(score.keeps for score in scores)
    if best.keeps:
        sentences = [_kept(best, sla, alone=keepers == 1), *_cheaper(best, scores, sla)]
    else:
        sentences = [*_missed(best, sla), _why(best)]
    return [*sentences, *_statics(best, scores), *_strict(sla)]


def recommended(scores: Sequence[SlaScore]) -> SlaScore | None:
    """Return the policy that the verdict is about, None where there is none.

    It keeps the SLA with least waste; else it keeps it wherever any allocation could have; else
    it comes closest.
    """
    keepers = [score for score in scores if score.keeps]
    nearly = [score for score in scores if score.nearly]
    if keepers or nearly:
        return min(keepers or nearly, key=lambda s: (_low(s.waste_pct), s.minutes))
    return min(scores, key=_distance, default=None)


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
        f"{format_duration(sla.tick_s)} intervals of every link"
    )


def _kept(best: SlaScore, sla: SlaTerms, *, alone: bool) -> str:
    links = "its only link" if best.links == 1 else f"all {best.links:,} links"
    only = f"Only {best.name} keeps" if alone else f"{best.name} keeps"
    least = "" if alone else " with the least waste"
    return (
        f"{only} the SLA ({_sla(sla)}) on {links}{least}: it {_waste(best)}, "
        f"and {best.worst_link}, its worst link, is short in {percent(best.worst_rate)} "
        "of intervals."
    )


def _waste(score: SlaScore) -> str:
    amount = f"reserves {score.allocated:,.0f} Mbit/s per link on average"
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
    """Say what the paper's static rules would have cost instead."""
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
        f"The paper's {rules} would have meant {amounts}, "
        f"against {best.minutes:,.0f} with {best.name}."
    ]


def _times(score: SlaScore, best: SlaScore) -> str:
    if not best.allocated > 0:
        return ""
    return f" ({score.allocated / best.allocated:.2g} times as much)"


def _strict(sla: SlaTerms) -> list[str]:
    if sla.target * sla.intervals >= 1:
        return []
    return [
        f"The SLA is strict: a link has {sla.intervals:,} intervals here, so a single violated "
        f"one already breaks {percent(sla.target)}."
    ]
