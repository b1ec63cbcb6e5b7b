"""Drift, on labelled series: what is found, how soon, and how often for nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from labelled import DAY, Label, calm, shifted, surged

from twin.core.arrays import Floats
from twin.live.drift import Drift, DriftMonitor, DriftWatch

PAST, HOUR = 4_032, 12


def watched(demand: Floats) -> list[Drift]:
    """Return all that is said of demand after its past; samples are counted from there."""
    links = [str(link) for link in range(demand.shape[1])]
    watch = DriftWatch(links, demand[:PAST], 300)
    return [drift for row in demand[PAST:] for drift in watch.update(row)]


def delays(found: list[Drift], labels: list[Label]) -> Floats:
    """Return the samples to the first alarm after each label; infinite without."""
    return np.array(
        [
            min(
                (
                    each.at - (label.first - PAST) + 1
                    for each in found
                    if each.link == str(label.link) and each.at >= label.first - PAST
                ),
                default=np.inf,
            )
            for label in labels
        ]
    )


def test_level_shifts_are_found_within_an_hour() -> None:
    demand, labels = shifted(calm(7, PAST + 4 * DAY, 60), 1, PAST + 100, (0.5, 0.7, 1.4, 2.0))
    found = watched(demand)
    assert (delays([f for f in found if f.kind == "change"], labels) <= HOUR).mean() >= 0.9
    for label in labels[:20]:
        mine = [f for f in found if f.link == str(label.link) and f.at >= label.first - PAST]
        shift = next(each for each in mine if each.kind == "shift")
        assert shift.direction == (1 if label.size > 1 else -1)
        assert abs(shift.since - (label.first - PAST)) <= HOUR


@pytest.mark.parametrize(("factor", "share"), [(0.5, 0.95), (0.7, 0.8), (1.4, 0.75), (2.0, 0.95)])
def test_jumps_of_real_traffic_are_found_within_an_hour(
    backbone: Path, factor: float, share: float
) -> None:
    # Its weeks differ by more than that: half of them are around Christmas.
    demand = pd.read_csv(backbone)["internet"].to_numpy()
    first = np.arange(PAST + DAY, len(demand) - DAY, 457)
    copies = np.repeat(demand[:, None], len(first), axis=1)
    for link, at in enumerate(first.tolist()):
        copies[at:, link] *= factor
    labels = [Label("shift", i, at, factor) for i, at in enumerate(first.tolist())]
    found = [each for each in watched(copies) if each.direction == np.sign(factor - 1)]
    assert (delays(found, labels) <= HOUR).mean() >= share


def test_real_traffic_is_said_to_change_a_few_times_in_two_months(backbone: Path) -> None:
    demand = pd.read_csv(backbone)[["internet"]].to_numpy()
    assert sum(each.kind == "change" for each in watched(demand)) <= 4


def test_a_jump_back_ends_a_surge_and_begins_no_other() -> None:
    demand = calm(15, PAST + 2 * DAY, 8)
    demand[PAST + 150 : PAST + 174] *= 1.6
    for link in range(8):
        mine = [each for each in watched(demand) if each.link == str(link)]
        assert [(each.kind, each.direction) for each in mine] == [("change", 1), ("surge", 1)]
        assert [each.since for each in mine] == [150, 150]


@pytest.mark.parametrize("tick_s", [10, 60, 900])
def test_jumps_are_found_at_other_ticks(tick_s: int) -> None:
    rng = np.random.default_rng(2)
    day = 86_400 // tick_s
    past = 3 * day
    level = np.where(np.arange(past + day) < past + day // 2, 100.0, 60.0)
    demand = level[:, None] * (1 + 0.02 * rng.normal(size=(past + day, 3)))
    watch = DriftWatch("abc", demand[:past], tick_s)
    found = [each for row in demand[past:] for each in watch.update(row)]
    changes = [each for each in found if each.kind == "change"]
    assert [each.link for each in changes] == ["a", "b", "c"]
    for each in changes:
        assert abs(each.since - day // 2) * tick_s <= max(300, tick_s)
        assert (each.at - day // 2) * tick_s <= 3600


def test_a_link_that_is_never_low_is_not_idle_where_it_is_zero() -> None:
    demand = np.random.default_rng(1).uniform(900, 1_000, (PAST + DAY, 2))
    demand[500:540] = 0  # a failed collection: 1 % of the past
    demand[PAST + 100 :, 0] *= 1.5
    demand[PAST + 20 : PAST + 30, 1] = 0
    found = watched(demand)
    assert [(each.kind, each.link) for each in found] == [
        ("missing", "1"), ("back", "1"), ("change", "0"), ("shift", "0"),
    ]  # fmt: skip


def test_it_says_since_when_which_way_and_how_far() -> None:
    demand = calm(3, PAST + 2 * DAY, 1)
    at = PAST + 300
    came = demand[at : at + 2 * HOUR].mean()
    demand[at:] *= 1.5
    change = next(each for each in watched(demand) if each.kind == "change")
    assert (change.link, change.direction) == ("0", 1)
    assert 0 <= change.since - 300 <= 2
    assert change.size_mbps == pytest.approx(0.5 * came, rel=0.3)


@pytest.mark.long
def test_a_calm_month_raises_less_than_one_alarm_a_link() -> None:
    found = watched(calm(5, PAST + 30 * DAY, 200))
    assert sum(each.kind == "change" for each in found) / 200 < 0.7


def test_a_surge_is_told_apart_from_a_shift() -> None:
    demand, labels = surged(calm(9, PAST + 3 * DAY, 60), 2, PAST + 100, 24)
    found = watched(demand)
    kinds = [{f.kind for f in found if f.link == str(label.link)} for label in labels]
    assert np.mean(["surge" in each for each in kinds]) >= 0.9
    assert np.mean(["shift" in each for each in kinds]) <= 0.1


def test_slow_drift_is_found_before_it_is_large() -> None:
    demand = calm(11, PAST + 12 * DAY, 40)
    days = np.arange(12 * DAY) / DAY
    demand[PAST:] *= (1.04 ** np.maximum(days - 1, 0))[:, None]
    found = [f for f in watched(demand) if f.kind == "shift" and f.direction == 1]
    first = [min((f.at for f in found if f.link == str(i)), default=np.inf) for i in range(40)]
    # At 4 % a day demand is 22 % higher after 5 days.
    assert np.mean(np.array(first) <= 6 * DAY) >= 0.9


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_failed_collection_is_no_drift(value: float) -> None:
    demand = calm(13, PAST + 2 * DAY, 30)
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, 30)
    for link, length in enumerate(lengths.tolist()):
        first = PAST + int(rng.integers(20, DAY))
        demand[first : first + length, link] = value
    found = watched(demand)
    assert [each.kind for each in found if each.kind in ("change", "shift")] == []
    long = int((lengths >= 6).sum())
    assert sum(each.kind == "missing" for each in found) == long
    assert sum(each.kind == "back" for each in found) == long


def test_a_link_that_is_idle_at_times_may_be_idle() -> None:
    rng = np.random.default_rng(1)
    demand = np.where(rng.random((PAST + DAY, 3)) < 0.1, 0.0, rng.uniform(50, 60, (PAST + DAY, 3)))
    assert [each.kind for each in watched(demand)] == []


def test_it_goes_on_from_a_copy() -> None:
    demand, _ = shifted(calm(7, PAST + DAY, 5), 1, PAST + 20, (1.6,))
    watch = DriftWatch("abcde", demand[:PAST], 300)
    for row in demand[PAST : PAST + 50]:
        watch.update(row)
    other = pickle.loads(pickle.dumps(watch))
    for row in demand[PAST + 50 :]:
        assert watch.update(row) == other.update(row)


def test_errors_of_any_forecast_can_be_watched() -> None:
    monitor = DriftMonitor(["a", "b"], 300)
    rng = np.random.default_rng(4)
    found = []
    for k in range(2_000):
        errors = rng.normal(size=2) + (30 if k >= 1_500 else 0) * np.array([0, -1])
        found += monitor.update(errors, np.full(2, 0.8))
    # Whoever forecasts has not learnt of it, so that it goes on.
    assert {(each.link, each.direction) for each in found} == {("b", -1)}
    assert [each.kind for each in found[:3]] == ["change", "shift", "change"]
    assert found[0].since == 1_500
    assert found[0].at <= 1_515
