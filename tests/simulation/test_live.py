"""A live source that is fed what a replay holds: the same decisions, to the byte."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from worlds import EVENTS, HISTORY, INTERVALS, delivered, simulation, table, trace

import twin
from twin import InputError, RunError
from twin.demand.gaps import ArrayFeed, Revision
from twin.telemetry.source import ReplaySource, head


def fed(live: twin.Simulation, replay: ReplaySource, intervals: int) -> None:
    """Deliver the samples of the replayed intervals, one by one, and step."""
    for sample in range(HISTORY, HISTORY + intervals):
        live.source.deliver(delivered(replay, sample))
        live.step()


@pytest.mark.long
def test_every_policy_and_model_decides_live_as_in_a_replay() -> None:
    replayed = simulation().run()
    live = simulation(twin.LiveSource(head(trace(), HISTORY)))
    fed(live, ReplaySource(trace()), INTERVALS)
    pd.testing.assert_frame_equal(live.result.intervals, replayed.intervals)
    assert table(live.result) == table(replayed)
    pd.testing.assert_frame_equal(live.result.summary, replayed.summary)
    missing = replayed.summary.query("link == 'all'")["missing_intervals"]
    # The long gap, and the one that the trace ends in.
    assert (missing == 24).all()


def test_a_trace_of_finer_samples_is_delivered_with_what_fills_its_gaps() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.uniform(50, 60, 4_000), "b": rng.uniform(5, 6, 4_000)})
    frame.index = pd.date_range("2026-01-01", periods=4_000, freq="1min")
    for first, length in ((3_003, 9), (3_017, 4), (3_100, 1), (3_321, 40)):
        frame.iloc[first : first + length, 0] = np.nan
    whole = twin.Trace.from_frame(frame, tick="5min")
    history = 560
    options = {
        "policies": ["conformal", "rolling_max"],
        "train": (history + 0.5) / 800,
        "sla_period": "12h",
    }
    replay = ReplaySource(whole)
    live = twin.Simulation(
        twin.LiveSource(head(whole, history), fill_gaps=False),
        policies=options["policies"],
        sla_period="12h",
    )
    for sample in range(history, 800):
        revisions = replay.revisions(sample, sample + 1)
        live.source.deliver(delivered(replay, sample), revisions)
        live.step()
    assert table(live.result) == table(twin.Simulation(whole, **options).run())


def test_a_fork_of_a_live_simulation_is_fed_by_itself() -> None:
    live = simulation(twin.LiveSource(head(trace(), HISTORY)), policies=["conformal"])
    replay = ReplaySource(trace())
    fed(live, replay, 20)
    other = live.fork()
    assert other.source is not live.source
    for sample in range(HISTORY + 20, HISTORY + 40):
        for each in (live, other):
            each.source.deliver(delivered(replay, sample))
            each.step()
    assert table(live.result) == table(other.result)


def test_a_live_simulation_waits_for_what_has_not_come() -> None:
    live = simulation(twin.LiveSource(head(trace(), HISTORY)), policies=["static_p95"])
    assert list(live) == []
    with pytest.raises(RunError, match="no telemetry of interval 0 has come"):
        live.step()
    live = simulation(twin.LiveSource(head(trace(), HISTORY)), policies=["static_p95"])
    replay = ReplaySource(trace())
    for sample in range(HISTORY, HISTORY + 5):
        live.source.deliver(delivered(replay, sample))
    assert [closed.interval for closed in live] == [0, 1, 2, 3, 4]
    assert not live.finished


def test_what_is_no_demand_is_not_taken() -> None:
    source = twin.LiveSource(head(trace(), HISTORY))
    good = delivered(ReplaySource(trace()), HISTORY)
    for change, message in (
        ({"internet": np.array([1.0, -2.0, 3.0])}, "internet: of 'b' is negative or infinite"),
        ({"internet": np.ones(2)}, r"has shape \(2,\), not one number for each of 3 flows"),
        ({"internet": ["x", 1, 2]}, "must be numbers, one for each flow"),
        ({"trafic": np.ones(3)}, "trafic: is no KPI of the history"),
    ):
        with pytest.raises(InputError, match=message):
            source.deliver(good | change)
    with pytest.raises(InputError, match="vpn: is missing"):
        source.deliver({name: row for name, row in good.items() if name != "vpn"})
    assert source.ready == HISTORY


def test_a_sample_that_comes_late_changes_the_account_and_no_decision() -> None:
    def late(revisions: list[Revision]) -> twin.Result:
        source = twin.LiveSource(head(trace(), HISTORY), fill_gaps=False)
        live = twin.Simulation(source, policies=["last_value"])
        for k in range(5):
            row = {name: np.full(3, 10.0 + k) for name in source.kpis}
            if k == 2:
                row["internet"] = np.array([np.nan, 12.0, 12.0])
            source.deliver(row, revisions if k == 4 else [])
            live.step()
        return live.result

    without = late([])
    revision = Revision(0, "internet", 0, HISTORY + 2, np.array([99.0]))
    revised = late([revision])
    columns = ["requested_mbps", "allocated_mbps"]
    pd.testing.assert_frame_equal(without.intervals[columns], revised.intervals[columns])
    first = revised.intervals.query("link == 'a'")["demand_mbps"]
    assert first.iloc[2] == 99
    assert np.isnan(without.intervals.query("link == 'a'")["demand_mbps"].iloc[2])


def test_a_gap_is_filled_around_a_sample_that_came_late() -> None:
    source = twin.LiveSource(head(trace(), HISTORY))

    def deliver(value: float, *late: Revision) -> None:
        row = np.array([value, 1.0, 1.0])
        source.deliver(dict.fromkeys(source.kpis, row), late)

    deliver(10.0)
    deliver(np.nan)
    deliver(np.nan, Revision(0, "internet", 0, HISTORY + 1, np.array([99.0])))
    deliver(40.0)
    filled = source.values("internet", HISTORY, HISTORY + 4)[:, 0]
    np.testing.assert_allclose(filled, [10, 99, 69.5, 40])
    for bad in (
        Revision(0, "trafic", 0, HISTORY, np.ones(1)),
        Revision(0, "internet", 0, HISTORY + 9, np.ones(1)),
        Revision(0, "internet", 9, HISTORY, np.ones(1)),
        Revision(0, "internet", 0, HISTORY, -np.ones(1)),
    ):
        with pytest.raises(InputError):
            deliver(5.0, bad)
    assert source.ready == HISTORY + 4


def test_what_a_source_says_is_known_is_what_plain_bookkeeping_says() -> None:
    rng = np.random.default_rng(5)
    source = twin.LiveSource(head(trace(), HISTORY), fill_gaps=False)
    seen = {kpi: source.rows(kpi, 0, HISTORY).copy() for kpi in source.kpis}
    known = {kpi: source.values(kpi, 0, HISTORY).copy() for kpi in source.kpis}
    for sample in range(HISTORY, HISTORY + 60):
        row = {kpi: rng.uniform(1, 9, 3) for kpi in source.kpis}
        row["internet"][rng.uniform(size=3) < 0.3] = np.nan
        late = []
        for _ in range(int(rng.integers(0, 4))):
            first = int(rng.integers(HISTORY - 5, sample + 1))
            count = min(int(rng.integers(1, 9)), sample + 1 - first)
            late.append(
                Revision(0, "internet", int(rng.integers(3)), first, rng.uniform(1, 9, count))
            )
        late = [each for each in late if each.first + len(each.values) <= sample]
        source.deliver(row, late)
        for kpi in source.kpis:
            seen[kpi] = np.vstack([seen[kpi], row[kpi]])
            known[kpi] = np.vstack([known[kpi], row[kpi]])
        for _, kpi, link, start, values in late:
            known[kpi][start : start + len(values), link] = values
        first = int(rng.integers(0, sample))
        for kpi in source.kpis:
            np.testing.assert_array_equal(source.rows(kpi, first, sample + 1), seen[kpi][first:])
            np.testing.assert_array_equal(source.values(kpi, first, sample + 1), known[kpi][first:])
    assert any(not np.array_equal(seen[k], known[k], equal_nan=True) for k in known)


def test_all_who_read_the_history_read_the_same_one() -> None:
    history = head(trace(), HISTORY)
    source = twin.LiveSource(history)
    live = twin.Simulation(source, policies=["last_value"])
    for each in (source.history, live.scenario.trace, live.fork().scenario.trace):
        assert np.shares_memory(each.kpis["internet"], history.kpis["internet"])


def test_a_living_simulation_keeps_each_sample_twice() -> None:
    links, intervals = 200, 100
    history = twin.Trace(
        tuple(f"l{i}" for i in range(links)), {"internet": np.ones((50, links))}, 300
    )
    live = twin.Simulation(twin.LiveSource(history), policies=["static_p95"])
    live.start()
    before = len(live.snapshot())
    for k in range(intervals):
        live.source.deliver({"internet": np.full(links, 1.0 + k)})
        live.step()
    # As it came, and as policies are shown it.
    assert len(live.snapshot()) - before < 2.1 * 8 * links * intervals


def test_a_result_stays_what_it_was() -> None:
    source = twin.LiveSource(head(trace(), HISTORY))
    live = twin.Simulation(source, ["static_p95"])
    for value in (10.0, np.nan):
        source.deliver(dict.fromkeys(source.kpis, np.full(3, value)))
        live.step()
    early = live.result
    source.deliver(dict.fromkeys(source.kpis, np.full(3, 30.0)))
    live.step()
    assert np.isnan(early.intervals["demand_mbps"].iloc[1])
    assert live.result.intervals["demand_mbps"].iloc[1] == 20


def test_events_act_on_what_is_delivered() -> None:
    source = twin.LiveSource(head(trace(), HISTORY))
    live = twin.Simulation(source, policies=["last_value"], events=EVENTS[:1])
    feed = ArrayFeed({name: np.full((100, 3), 50.0) for name in source.kpis})
    for k in range(20):
        source.deliver({name: feed.rows(name, k, k + 1)[0] for name in source.kpis})
        live.step()
    demand = live.result.intervals.query("link == 'a'")["demand_mbps"].to_numpy()
    assert demand[:12] == pytest.approx(50)
    assert demand[15] == pytest.approx(85)
