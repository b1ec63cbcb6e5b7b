"""The scoreboard: what each policy came to of late, the acting one and those in its shadow.

All policies met the same demand, so that differences are of pairs, and their intervals those of
:mod:`twin.account.uncertainty`: the span is cut into stretches that are longer than a cluster of
violations. What nobody can beat is an allocation of the demand itself, as far as there is capacity
for it; how far a policy is from that is its regret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from twin.account.ranking import Ranking
from twin.account.summary import ALL, Account, settle
from twin.account.uncertainty import CONFIDENCE, STRETCHES, Difference, StretchSums, difference
from twin.core.errors import InputError, Problem, did_you_mean
from twin.engine.recording import LaneRecord, Recording
from twin.results.result import Result

SPANS: Final[Mapping[str, int]] = {"day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400}
"""The spans that are looked back on, seconds."""
_HINDSIGHT: Final = "\0hindsight"
"""Name of what allocates the demand itself; no policy can have it."""


class SwitchAdvice(NamedTuple):
    """Another policy would have done better than the acting one, by more than may be chance."""

    policy: str
    saves_pct: float
    """Of the acting policy's cost, or of what it provisions above demand."""
    text: str


@dataclass(frozen=True)
class PolicyScore:
    """What one policy came to over a span, over all links."""

    policy: str
    acting: bool
    bound: bool
    """Whether it sees the future, so that it cannot act."""
    violated_minutes: float
    violated_share: float
    """Of link-intervals, with the ends of its 95 % interval."""
    violated_low: float
    violated_high: float
    unmet_mbit: float
    waste_pct: Difference
    """Over-provisioning in % of demand."""
    cost: Difference | None
    """None without prices."""
    regret_to_acting: Difference
    """How much more than the acting policy: cost, or waste in points of % of demand."""
    regret_to_hindsight: Difference
    """And how much more than allocating the demand itself."""
    more_violated: Difference
    """Share of link-intervals that it violated more than the acting policy."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data; NaN is None."""
        return {
            "policy": self.policy,
            "acting": self.acting,
            "bound": self.bound,
            "violated_minutes": self.violated_minutes,
            "violated_share": {
                "mean": _finite(self.violated_share),
                "low": _finite(self.violated_low),
                "high": _finite(self.violated_high),
            },
            "unmet_mbit": self.unmet_mbit,
            "waste_pct": _ends(self.waste_pct),
            "cost": None if self.cost is None else _ends(self.cost),
            "regret_to_acting": _ends(self.regret_to_acting),
            "regret_to_hindsight": _ends(self.regret_to_hindsight),
            "more_violated_share": _ends(self.more_violated),
        }


@dataclass(frozen=True)
class SpanScores:
    """The scores of all policies over one span."""

    span: str
    start_s: float
    """Seconds from the start of the result; below 0 where it goes farther back."""
    intervals: int
    complete: bool
    """Whether as much has been recorded as the span is long."""
    metric: str
    """What regret is of: ``cost`` or ``over_provisioning_pct``."""
    policies: tuple[PolicyScore, ...]
    switch: SwitchAdvice | None

    def as_dict(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {
            "span": self.span,
            "start_s": self.start_s,
            "intervals": self.intervals,
            "complete": self.complete,
            "metric": self.metric,
            "policies": [each.as_dict() for each in self.policies],
            "switch": None if self.switch is None else self.switch._asdict(),
        }


@dataclass(frozen=True)
class Scoreboard:
    """What each policy came to over the last day, week and month."""

    acting: str
    spans: tuple[SpanScores, ...]

    @classmethod
    def of(
        cls,
        result: Result,
        acting: str,
        spans: Mapping[str, int] | None = None,
        recording: Recording | None = None,
    ) -> Scoreboard:
        """Return the scores of a result's policies over its last `spans`, seconds by name.

        `recording` is what it recorded, by default, or that with what came before it. Raises
        InputError for an `acting` policy that is not among them.
        """
        recording = result.recording if recording is None else recording
        names = [lane.name for lane in recording.lanes]
        if acting not in names:
            hint = did_you_mean(acting, names) or f"there are: {', '.join(names)}"
            raise InputError(Problem(f"no policy '{acting}'", "acting", suggestion=hint))
        return cls(
            acting,
            tuple(
                _scores(result, recording, acting, span, seconds)
                for span, seconds in (SPANS if spans is None else spans).items()
            ),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"acting": self.acting, "spans": [each.as_dict() for each in self.spans]}


def _scores(
    result: Result, recording: Recording, acting: str, span: str, seconds: int
) -> SpanScores:
    wanted = max(seconds // recording.tick_s, 1)
    first = max(recording.intervals - wanted, 0)
    part = _with_hindsight(recording.between(first, recording.intervals))
    account = settle(part, result.settlement)
    ranking = Ranking(account.sums, result.settlement, recording.tick_s)
    comparison = _Comparison(account, ranking)
    bounds = {choice.name for choice in result.scenario.policies if choice.bound}
    scores = tuple(
        comparison.score(lane.name, acting, bound=lane.name in bounds) for lane in recording.lanes
    )
    return SpanScores(
        span,
        float((first - recording.intervals + result.recording.intervals) * recording.tick_s),
        recording.intervals - first,
        recording.intervals >= wanted,
        ranking.metric,
        scores,
        switch_advice(scores, span),
    )


def _with_hindsight(recording: Recording) -> Recording:
    """Return the recording with one more lane, which allocates the demand itself."""
    demand = np.nan_to_num(recording.demand)
    lane = LaneRecord(_HINDSIGHT, demand, demand)
    divided = {
        k: replace(each, allocated=each.allocated | {_HINDSIGHT: np.nan_to_num(each.demand)})
        for k, each in recording.divided.items()
    }
    return replace(recording, lanes=(*recording.lanes, lane), divided=divided)


@dataclass(frozen=True)
class _Comparison:
    account: Account
    ranking: Ranking

    def score(self, policy: str, acting: str, *, bound: bool) -> PolicyScore:
        table = self.account.summary
        row = table[(table["policy"] == policy) & (table["link"] == ALL)].iloc[0]
        mine, theirs = self.account.sums[policy], self.account.sums[acting]
        violated, known = mine.pooled
        return PolicyScore(
            policy,
            policy == acting,
            bound,
            float(row["sla_violation_minutes"]),
            float(row["sla_violation_rate"]),
            float(row["sla_violation_rate_low"]),
            float(row["sla_violation_rate_high"]),
            float(row["unmet_mbit"]),
            _times(difference(mine.over_provisioning, mine.demand), 100.0),
            self._cost(mine),
            self.ranking.difference(policy, acting),
            self._beyond_hindsight(policy),
            difference(violated - theirs.pooled[0], known),
        )

    def _cost(self, sums: StretchSums) -> Difference | None:
        prices = self.ranking.settlement.prices
        if prices is None:
            return None
        _, known = sums.pooled
        cost = sums.cost(prices, self.ranking.settlement.change_cost, self.ranking.tick_s)
        return _times(difference(cost, known), float(known.sum()))

    def _beyond_hindsight(self, policy: str) -> Difference:
        """Return its regret; what nobody can beat pays for no orders."""
        ranking, sums = self.ranking, self.account.sums
        prices = ranking.settlement.prices
        if prices is None:
            return ranking.difference(policy, _HINDSIGHT)
        change_cost, tick_s = ranking.settlement.change_cost, ranking.tick_s
        _, known = sums[policy].pooled
        own = sums[policy].cost(prices, change_cost, tick_s)
        least = sums[_HINDSIGHT].cost(prices, np.zeros_like(change_cost), tick_s)
        return _times(difference(own - least, known), float(known.sum()))


def _times(found: Difference, factor: float) -> Difference:
    return Difference(found.mean * factor, found.half_width * factor)


def switch_advice(scores: tuple[PolicyScore, ...], span: str) -> SwitchAdvice | None:
    """Return which policy should act instead, if any: the one that would have saved most.

    It costs less, or wastes less, by more than may be chance, and did not violate more. With m
    policies in the shadow one of them looks better by chance m times as often, so that the level is
    divided by m (Bonferroni).
    """
    acting = next(each for each in scores if each.acting)
    rivals = [each for each in scores if not (each.acting or each.bound)]
    metric = acting.waste_pct.mean if acting.cost is None else acting.cost.mean
    best: SwitchAdvice | None = None
    for rival in rivals:
        saved = -rival.regret_to_acting.mean
        sure = saved > rival.regret_to_acting.half_width * _wider(len(rivals))
        no_more = rival.violated_minutes <= acting.violated_minutes
        if not (sure and no_more and metric > 0):
            continue
        share = 100 * saved / metric
        if best is None or share > best.saves_pct:
            of = "of what is provisioned above demand" if acting.cost is None else "of the cost"
            fewer = "no more" if rival.violated_minutes == acting.violated_minutes else "fewer"
            said = f"{rival.policy} would have saved {share:.0f} % {of} at {fewer} violations"
            best = SwitchAdvice(rival.policy, share, f"{said} over the last {span}")
    return best


def _wider(comparisons: int) -> float:
    """Return how much wider than a 95 % interval one is that allows for so many comparisons."""
    from scipy.special import stdtrit

    tail, freedom = (1 - CONFIDENCE) / 2, STRETCHES - 1.0
    one, all_of_them = (stdtrit(freedom, 1 - tail / m) for m in (1, max(comparisons, 1)))
    return float(all_of_them / one)


def _ends(found: Difference) -> dict[str, float | None]:
    low, high = found.mean - found.half_width, found.mean + found.half_width
    return {"mean": _finite(found.mean), "low": _finite(low), "high": _finite(high)}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
