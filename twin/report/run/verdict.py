"""The verdict of a run, in sentences that need no statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin.core.units import counted, format_duration

_NEAR = 3
"""Times the target up to which a policy that misses the SLA is worth a word."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one policy did against the SLA."""

    name: str
    within: int
    """Links that kept the target."""
    within_servable: int
    """Links that did so apart from intervals that no allocation could have served."""
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
class Terms:
    """What the SLA asks for."""

    target: float
    """Largest share of violated intervals, per link."""
    intervals: int
    tick_s: int
    hopeless: Mapping[str, float]
    """Links whose demand was above their capacity in a larger share of intervals than that."""


def verdict(standings: Sequence[Standing], terms: Terms) -> list[str]:
    """Return the verdict: who keeps the SLA with least waste, or who comes closest and why."""
    best = recommended(standings)
    if best is None:
        return ["Only bounds were run, which see the future: there is no policy to recommend."]
    keepers = sum(standing.keeps for standing in standings)
    if best.keeps:
        said = [_kept(best, terms, alone=keepers == 1), *_cheaper(best, standings, terms)]
    else:
        said = [*_missed(best, terms), _why(best)]
    return [*said, *_statics(best, standings), *_strict(terms)]


def recommended(standings: Sequence[Standing]) -> Standing | None:
    """Return the policy that the verdict is about, None where there is none.

    It keeps the SLA with least waste; else it keeps it wherever any allocation could have; else
    it comes closest.
    """
    keepers = [standing for standing in standings if standing.keeps]
    nearly = [standing for standing in standings if standing.nearly]
    if keepers or nearly:
        return min(keepers or nearly, key=lambda s: (_low(s.waste_pct), s.minutes))
    return min(standings, key=_distance, default=None)


def percent(share: float) -> str:
    """Return a share as percent, with three digits that count."""
    return f"{100 * share:.3g} %"


def _distance(standing: Standing) -> tuple[float, ...]:
    return (
        -standing.within_servable,
        standing.minutes,
        standing.worst_rate,
        _low(standing.waste_pct),
    )


def _low(value: float) -> float:
    return float("inf") if value != value else value


def _sla(terms: Terms) -> str:
    return (
        f"unserved demand in at most {percent(terms.target)} of the "
        f"{format_duration(terms.tick_s)} intervals of every link"
    )


def _kept(best: Standing, terms: Terms, *, alone: bool) -> str:
    links = "its only link" if best.links == 1 else f"all {best.links:,} links"
    only = f"Only {best.name} keeps" if alone else f"{best.name} keeps"
    least = "" if alone else " with the least waste"
    return (
        f"{only} the SLA ({_sla(terms)}) on {links}{least}: it {_waste(best)}, "
        f"and {best.worst_link}, its worst link, is short in {percent(best.worst_rate)} "
        "of intervals."
    )


def _waste(standing: Standing) -> str:
    amount = f"reserves {standing.allocated:,.0f} Mbit/s per link on average"
    if standing.waste_pct != standing.waste_pct:
        return amount
    return f"{amount} and wastes {standing.waste_pct:.3g} % of demand"


def _cheaper(best: Standing, standings: Sequence[Standing], terms: Terms) -> list[str]:
    """Say what far less waste would break, where it does not break much."""
    others = [
        s
        for s in standings
        if not s.keeps
        and s.waste_pct < 0.6 * best.waste_pct
        and s.worst_rate <= _NEAR * terms.target
    ]
    if not others:
        return []
    near = min(others, key=_distance)
    return [
        f"{near.name} would need only {near.allocated:,.0f} Mbit/s, but keeps the SLA on "
        f"{near.within:,} of {near.links:,} links, with {near.worst_link} short in "
        f"{percent(near.worst_rate)} of intervals."
    ]


def _missed(best: Standing, terms: Terms) -> list[str]:
    said = [f"No policy keeps the SLA ({_sla(terms)})."]
    if terms.hopeless:
        link, share = max(terms.hopeless.items(), key=lambda item: item[1])
        others = f" and {counted(len(terms.hopeless) - 1, 'other link')}"
        said = [
            f"{said[0][:-1]}, and none could: {link}{others if len(terms.hopeless) > 1 else ''} "
            f"had less capacity than demand, {link} in {percent(share)} of intervals."
        ]
    within = f"{best.within:,} of {counted(best.links, 'link')} within it"
    if best.nearly:
        return [
            *said,
            f"Apart from what no allocation could have served, {best.name} keeps it with the "
            f"least waste ({within} in all): it {_waste(best)}.",
        ]
    return [
        *said,
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


def _why(best: Standing) -> str:
    parts = [
        f"{minutes:,.0f} fell {_REASONS[cause]}"
        for cause, minutes in best.causes.items()
        if minutes >= 0.5
    ]
    if not parts:
        return f"It is short for {60 * best.minutes:,.3g} seconds in all."
    return f"Of its {best.minutes:,.0f} violated minutes, summed over links, {'; '.join(parts)}."


def _statics(best: Standing, standings: Sequence[Standing]) -> list[str]:
    """Say what the paper's static rules would have cost instead."""
    others = [s for s in standings if s.static and s.name != best.name]
    if not others:
        return []
    told = " and ".join(
        f"{s.allocated:,.0f} Mbit/s{_times(s, best)} and {s.minutes:,.0f} violated minutes "
        f"with {s.name}"
        for s in others
    )
    rules = "other static rule" if best.static else "static rule"
    rules += "s" * (len(others) > 1)
    return [
        f"The paper's {rules} would have meant {told}, "
        f"against {best.minutes:,.0f} with {best.name}."
    ]


def _times(standing: Standing, best: Standing) -> str:
    if not best.allocated > 0:
        return ""
    return f" ({standing.allocated / best.allocated:.2g} times as much)"


def _strict(terms: Terms) -> list[str]:
    if terms.target * terms.intervals >= 1:
        return []
    return [
        f"The SLA is strict: a link has {terms.intervals:,} intervals here, so a single violated "
        f"one already breaks {percent(terms.target)}."
    ]
