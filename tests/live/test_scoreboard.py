"""The scoreboard: numbers beside an independent calculation, and when to switch."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

import twin
from twin import InputError
from twin.account.uncertainty import Difference
from twin.demand.synthetic import generate
from twin.live.scoreboard import PolicyScore, Scoreboard, switch_advice

DAYS = 12
POLICIES = ["static_p95", "rolling_max", "oracle"]


@cache
def result(*, priced: bool = False, links: int = 3) -> twin.Result:
    samples = DAYS * 288
    frame = pd.DataFrame(generate(7, links, samples)["internet"])
    frame.columns = [f"l{i}" for i in range(links)]
    frame.index = pd.date_range("2026-04-01", periods=samples, freq="5min")
    prices = {"capacity": 0.02, "violated_minute": 3.0} if priced else None
    links_block = {"l0": {"change_cost": 1.5}, "l1": {"capacity_mbps": 500}} if priced else None
    simulation = twin.Simulation(
        twin.Trace.from_frame(frame), POLICIES, train=0.3, prices=prices, links=links_block
    )
    return simulation.run()


def last_day(policy: str, found: twin.Result) -> pd.DataFrame:
    rows = found.intervals[found.intervals["policy"] == policy]
    return rows[rows["interval"] >= rows["interval"].max() + 1 - 288]


def test_it_is_the_account_of_the_last_day() -> None:
    found = result()
    board = Scoreboard.of(found, "rolling_max")
    assert [each.span for each in board.spans] == ["day", "week", "month"]
    assert [each.complete for each in board.spans] == [True, True, False]
    day = board.spans[0]
    assert day.intervals == 288
    for score in day.policies:
        rows = last_day(score.policy, found)
        assert score.violated_minutes == pytest.approx(rows["violation_s"].sum() / 60)
        assert score.violated_share == pytest.approx(rows["sla_violation"].mean())
        waste = 100 * rows["over_provisioning_mbps"].sum() / rows["demand_mbps"].sum()
        assert score.waste_pct.mean == pytest.approx(waste)
        acting = last_day("rolling_max", found)["over_provisioning_mbps"].sum()
        apart = rows["over_provisioning_mbps"].sum() - acting
        share = 100 * apart / rows["demand_mbps"].sum()
        assert score.regret_to_acting.mean == pytest.approx(share)
        # Without prices the least possible waste is none.
        assert score.regret_to_hindsight.mean == pytest.approx(waste)
        assert score.bound == (score.policy == "oracle")


def test_regret_in_money_is_beyond_what_nobody_can_beat() -> None:
    found = result(priced=True)
    day = Scoreboard.of(found, "static_p95").spans[0]
    assert day.metric == "cost"
    for score in day.policies:
        rows = last_day(score.policy, found)
        demand, capacity = rows["demand_mbps"], rows["capacity_mbps"].fillna(np.inf)
        hours = 300 / 3600
        least = 0.02 * demand.sum() * hours + 3 * 5 * (demand > capacity).sum()
        paid = 0.02 * rows["allocated_mbps"].sum() * hours + 3 * rows["violation_s"].sum() / 60
        first = rows[rows["link"] == "l0"]["allocated_mbps"].to_numpy()
        paid += 1.5 * np.count_nonzero(np.diff(first))
        assert score.cost is not None
        assert score.cost.mean == pytest.approx(paid)
        assert score.regret_to_hindsight.mean == pytest.approx(paid - least)


def test_a_bound_is_shown_and_never_advised() -> None:
    for span in Scoreboard.of(result(), "static_p95").spans:
        assert span.switch is None or span.switch.policy == "rolling_max"


def _score(
    policy: str, waste: float, half_width: float, violated: float, *, acting: bool = False
) -> PolicyScore:
    nothing = Difference(0.0, 0.0)
    return PolicyScore(
        policy, acting, False, violated, 0.01, 0.0, 0.02, 0.0, Difference(waste, 1.0), None,
        Difference(waste - 50, half_width), Difference(waste, 1.0), nothing,
    )  # fmt: skip


ACTING = _score("static_p95", 50, 0, 10, acting=True)


def test_it_advises_what_saves_more_than_chance_and_violates_no_more() -> None:
    advice = switch_advice((ACTING, _score("conformal", 44, 3, 10)), "week")
    assert advice is not None
    assert advice.text == (
        "conformal would have saved 12 % of what is provisioned above demand at no more "
        "violations over the last week"
    )
    assert switch_advice((ACTING, _score("conformal", 44, 7, 10)), "week") is None
    assert switch_advice((ACTING, _score("conformal", 44, 3, 11)), "week") is None
    # Of three that might be better by chance, one is more easily.
    others = (_score("a", 49, 40, 10), _score("b", 49, 40, 10))
    assert switch_advice((ACTING, _score("conformal", 44, 5, 10)), "week") is not None
    assert switch_advice((ACTING, _score("conformal", 44, 5, 10), *others), "week") is None


@pytest.mark.long
def test_policies_that_do_not_differ_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(3)
    samples, advised = 3 * 288, 0
    frame = pd.DataFrame({"a": 100 + rng.normal(size=samples)})
    frame.index = pd.date_range("2026-04-01", periods=samples, freq="5min")
    trace = twin.Trace.from_frame(frame)
    for seed in range(100):
        # Allocations of the same size that differ by noise alone.
        policies = [Noisy(seed=2 * seed), Noisy2(seed=2 * seed + 1)]
        found = twin.Simulation(trace, policies, train=0.3).run()
        board = Scoreboard.of(found, found.recording.lanes[0].name, {"day": 86_400})
        advised += board.spans[0].switch is not None
    # One-sided, 2.5 % are.
    assert advised <= 8


class Noisy(twin.Policy):
    seed: int = 0

    def fit(self, history: twin.History) -> None:
        self._rng = np.random.default_rng(self.seed)

    def allocate(self, observation: twin.Observation) -> np.ndarray:
        return 150 + 10 * self._rng.normal(size=len(observation.links))


class Noisy2(Noisy):
    pass


def test_it_is_plain_data() -> None:
    board = Scoreboard.of(result(priced=True), "static_p95").as_dict()
    assert json.loads(json.dumps(board, allow_nan=False)) == board
    with pytest.raises(InputError, match="acting: no policy 'static_p59'; did you mean"):
        Scoreboard.of(result(), "static_p59")
