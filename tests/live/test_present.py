"""Futures of one present: each decides what it would if it were delivered sample by sample."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import twin
from twin.core.arrays import Floats
from twin.engine.present import Present
from twin.telemetry.source import ReplaySource, head

sys.path.insert(0, str(Path(__file__).parents[1] / "simulation"))

from worlds import HISTORY, delivered, simulation, table, trace

CLOSED, STEPS = 20, 24


def later(seed: int) -> dict[str, Floats]:
    """Return what may come after the first closed intervals, [intervals, links] of each KPI."""
    replay, rng = ReplaySource(trace()), np.random.default_rng(seed)
    first = HISTORY + CLOSED
    factor = rng.uniform(0.7, 1.4, (STEPS, 1))
    return {
        kpi: np.nan_to_num(replay.values(kpi, first, first + STEPS), nan=5.0) * factor
        for kpi in replay.kpis
    }


def live(policies: list[str]) -> twin.Simulation:
    simulated = simulation(twin.LiveSource(head(trace(), HISTORY)), policies=policies)
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
