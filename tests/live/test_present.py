"""Futures of one present: each decides what it would if it were delivered sample by sample."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twin
from twin.core.arrays import Floats, Ints
from twin.engine.foretold import Foretold
from twin.engine.present import Present
from twin.telemetry.source import ReplaySource, head

sys.path.insert(0, str(Path(__file__).parents[1] / "simulation"))

from worlds import HISTORY, delivered, simulation, table, trace

CLOSED, STEPS = 20, 24
AT_ONCE = {"defaults": {"capacity_mbps": 900}}
LATER = {"capacity_mbps": 900, "lead_time": "15min", "step": 5, "hysteresis_up": 0.03}
DRAWN = {"lead_time": {"low": "4min", "high": "25min"}, "max": 800, "hysteresis_down": 0.05}


def later(seed: int) -> dict[str, Floats]:
    """Return what may come after the first closed intervals, [intervals, links] of each KPI."""
    replay, rng = ReplaySource(trace()), np.random.default_rng(seed)
    first = HISTORY + CLOSED
    factor = rng.uniform(0.7, 1.4, (STEPS, 1))
    return {
        kpi: np.nan_to_num(replay.values(kpi, first, first + STEPS), nan=5.0) * factor
        for kpi in replay.kpis
    }


def live(policies: list[Any], **options: Any) -> twin.Simulation:
    simulated = simulation(twin.LiveSource(head(trace(), HISTORY)), policies=policies, **options)
    replay = ReplaySource(trace())
    for sample in range(HISTORY, HISTORY + CLOSED):
        simulated.source.deliver(delivered(replay, sample))
        simulated.step()
    return simulated


def gone(simulated: twin.Simulation) -> str:
    rows = simulated.result.intervals
    return str(rows[rows["interval"] >= CLOSED].to_csv())


@pytest.mark.parametrize(
    "policies",
    [
        ["last_value", "seasonal_max"],
        pytest.param(["conformal", "quantile", "bilstm"], marks=pytest.mark.long),
    ],
)
def test_a_future_that_is_known_at_once_is_as_one_that_is_delivered(policies: list[str]) -> None:
    one = live(policies)
    fork, rows = one.fork(), later(1)
    for k in range(STEPS):
        fork.source.deliver({kpi: each[k] for kpi, each in rows.items()})
        fork.step()
    replayed = simulation(policies=policies)
    for _ in range(CLOSED):
        replayed.step()
    before = table(one.result)
    for present in (
        Present(one),
        Present(replayed, twin.LiveSource(head(trace(), HISTORY + CLOSED))),
    ):
        present.settle()
        # Another future before it, which writes to the same memory, leaves nothing behind.
        for seed in (2, 1):
            future = present.future(later(seed))
            future.advance(float((CLOSED + STEPS) * 300))
        assert future.closed == CLOSED + STEPS
        assert gone(future) == gone(fork)
    assert table(one.result) == before


def test_a_gap_that_is_open_now_is_closed_in_each_future_by_itself() -> None:
    one = live(["last_value"])
    one.source.deliver({kpi: np.array([np.nan, 1.0, 1.0]) for kpi in one.source.kpis})
    one.step()
    present = Present(one)
    present.settle()
    filled = []
    for seed in (2, 1, 2):
        future = present.future(later(seed))
        future.step()
        filled.append(
            future.source.values("internet", HISTORY + CLOSED, HISTORY + CLOSED + 1)[0, 0]
        )
    assert filled[0] == filled[2] != filled[1]
    assert np.isnan(one.source.values("internet", HISTORY + CLOSED, HISTORY + CLOSED + 1)[0, 0])


class Own(twin.Policy):
    """Follows demand, with a memory of its own."""

    fails: bool = False

    def fit(self, history: twin.History) -> None:
        self.level = np.zeros(len(history.links))

    def for_links(self, links: Ints) -> twin.Policy:
        if self.fails:
            raise ValueError("cannot")
        some = copy(self)
        some.level = self.level[links]
        return some

    def allocate(self, observation: twin.Observation) -> Floats:
        forecast = observation.forecast("persistence")
        self.level = 0.5 * self.level + 0.5 * np.nan_to_num(observation.latest_mbps)
        day = np.nanmax(observation.demand_mbps[-288:], axis=0)
        return self.level + 0.1 * forecast + 0.01 * day


EVERY = ["conformal", "quantile", "cost_aware", "blend", "forecast", "bilstm"]


@pytest.mark.parametrize(
    ("policies", "links"),
    [
        ([Own(), "last_value"], AT_ONCE),
        ([Own(), "last_value"], {"defaults": LATER}),
        pytest.param(EVERY, AT_ONCE, marks=pytest.mark.long),
        pytest.param(EVERY, {"defaults": LATER}, marks=pytest.mark.long),
        pytest.param(EVERY, {"defaults": DRAWN}, marks=pytest.mark.long),
    ],
)
def test_futures_that_are_decided_side_by_side_are_as_each_by_itself(
    policies: list[Any], links: dict[str, Any]
) -> None:
    one = live(policies, links=links)
    one.add(twin.Surge(links=[one.links[0]], start="now", duration="1h", factor=2.0))
    demands = [later(seed) for seed in (1, 2, 3)]
    present = Present(one)
    present.settle()
    until = float((CLOSED + STEPS) * 300)
    alone = []
    for demand in demands:
        future = present.future(demand)
        future.advance(until)
        alone.append(gone(future))
    for future, by_itself in zip(present.futures(demands), alone, strict=True):
        told = [isinstance(lane.policy, Foretold) for lane in future._lanes]
        assert told == [each != "last_value" for each in policies]
        future.advance(until)
        assert gone(future) == by_itself
    # The present's own policies have not moved.
    assert [gone(future) for future in _advanced(present.futures(demands), until)] == alone


def _advanced(futures: Iterator[twin.Simulation], until: float) -> Iterator[twin.Simulation]:
    for future in futures:
        future.advance(until)
        yield future


def test_who_cannot_be_asked_ahead_is_asked_as_usual() -> None:
    one = live([Own(fails=True), Own()], links=AT_ONCE)
    present = Present(one)
    present.settle()
    for future in present.futures([later(1), later(2)]):
        told = [isinstance(lane.policy, Foretold) for lane in future._lanes]
        assert told == [False, True]
    # With a cooldown, or other lead times elsewhere, a link covers other intervals than the rest.
    other = {"defaults": LATER, "b": {"lead_time": "5min"}}
    for links in ({"defaults": LATER | {"cooldown": "30min"}}, other):
        waiting = Present(live([Own()], links=links))
        assert not waiting.ahead([later(1), later(2)]).decided
    # What is observed otherwise than it is cannot be known ahead.
    one.add(twin.TelemetryGap(links=[one.links[0]], start="now", duration="10min"))
    present = Present(one)
    present.settle()
    for future in present.futures([later(1), later(2)]):
        assert not any(isinstance(lane.policy, Foretold) for lane in future._lanes)


def test_a_future_leaves_nothing_once_the_next_is_taken() -> None:
    present = Present(live([Own(), "last_value"], links=AT_ONCE))
    gc.disable()
    try:
        futures = present.futures([later(1), later(2)])
        future = next(futures)
        future.advance(float((CLOSED + 2) * 300))
        source = weakref.ref(future.source)
        future = next(futures)
        assert source() is None
    finally:
        gc.enable()
