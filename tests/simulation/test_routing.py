"""Flows over links: a matrix that a failure swaps inside an interval, integrated exactly."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from worlds import delivered, table

import twin
from twin.telemetry.source import ReplaySource, head

LINKS, FLOWS = ("A>B", "B>C", "A>C"), ("A-B", "A-C")
# A-B goes over A>B; A-C half over A>B and B>C, half straight.
USUAL = [[1, 0.5], [0, 0.5], [0, 0.5]]
# Without A>C, all of A-C goes over B; without A>B, A-B has no way.
WITHOUT_AC = [[1, 1], [0, 1], [0, 0]]
WITHOUT_AB = [[0, 0], [0, 0], [0, 1]]


def routing() -> twin.RoutingTable:
    return twin.RoutingTable(LINKS, FLOWS, USUAL, {("A>C",): WITHOUT_AC, ("A>B",): WITHOUT_AB})


def flows(samples: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    day = 100 + 40 * np.sin(np.arange(samples) * 2 * np.pi / 96)[:, None]
    values = day * [1.0, 2.0] + rng.normal(0, 3, (samples, 2))
    index = pd.date_range("2026-01-01", periods=samples, freq="15min")
    return pd.DataFrame(values, columns=list(FLOWS), index=index)


def simulation(frame: pd.DataFrame, chosen: Any = ("conformal",), **more: Any) -> twin.Simulation:
    return twin.Simulation(
        twin.Trace.from_frame(frame), list(chosen), routing=routing(), train=0.5, **more
    )


def loads(result: twin.Result) -> np.ndarray:
    """The demand of each link, [intervals, links]."""
    wide = result.intervals.pivot_table(index="interval", columns="link", values="demand_mbps")
    return wide[list(LINKS)].to_numpy()


def test_the_load_of_a_link_is_the_routed_flows() -> None:
    frame = flows()
    expected = frame.to_numpy()[200:] @ np.array(USUAL).T
    np.testing.assert_allclose(loads(simulation(frame).run()), expected, rtol=1e-12)


def test_a_failure_swaps_the_matrix_inside_an_interval() -> None:
    frame = flows()
    failure = twin.LinkFailure(links=["A>C"], start="1h 5min", duration="31min 40s")
    result = simulation(frame, ["static_p95"], events=[failure]).run()
    base = frame.to_numpy()[200:]
    expected = base @ np.array(USUAL).T
    other = base @ np.array(WITHOUT_AC).T
    # From 65 min to 96 min 40 s: the last 10 of interval 4, all of 5, the first 6 2/3 of 6.
    for interval, share in ((4, 10 / 15), (5, 1.0), (6, 20 / 3 / 15)):
        expected[interval] = share * other[interval] + (1 - share) * expected[interval]
    np.testing.assert_allclose(loads(result), expected, rtol=1e-12)
    # The failed link carries nothing, and so breaks nothing; its neighbours carry more.
    broken = result.intervals.query("link == 'A>C' and interval == 5")
    assert broken["demand_mbps"].item() == 0
    assert broken["capacity_mbps"].item() == 0
    assert broken["violation_s"].item() == 0
    level = np.percentile(frame.to_numpy()[:200] @ np.array(USUAL).T, 95, axis=0)
    seconds = result.intervals.query("link == 'A>B' and interval == 4")["violation_s"].item()
    before, after = base[4] @ np.array(USUAL[0]), base[4] @ np.array(WITHOUT_AC[0])
    assert seconds == 300 * (before > level[0]) + 600 * (after > level[0])


def test_surges_and_the_floor_act_on_flows() -> None:
    frame = flows()
    drop = twin.Surge(links=["A-B"], start="0h", duration="1h", add_mbps=-1e6)
    rise = twin.Surge(links=["A-C"], start="1h", duration="1h", factor=3.0, ramp="10min")
    result = simulation(frame, ["static_p95"], events=[drop, rise]).run()
    base = frame.to_numpy()[200:].copy()
    base[:4, 0] = 0
    # A ramp of 10 of 15 minutes: 5/15 at full height and on average half of 10/15.
    base[[4, 7], 1] *= 1 + 2 * (5 / 15 + 0.5 * 10 / 15)
    base[5:7, 1] *= 3
    np.testing.assert_allclose(loads(result), base @ np.array(USUAL).T, rtol=1e-12)


def test_the_identity_changes_nothing_but_how_it_is_computed() -> None:
    frame = flows()
    identity = twin.RoutingTable(FLOWS, FLOWS, np.eye(2))
    events = [
        twin.Surge(links=["A-C"], start="3h 2min", duration="2h", factor=1.5, ramp="6min"),
        twin.LinkFailure(links=["A-B"], start="5h", duration="1h"),
    ]
    options: dict[str, Any] = {"events": events, "train": 0.5}
    trace, chosen = twin.Trace.from_frame(frame), ["conformal", "rolling_max", "bilstm"]
    alone = twin.Simulation(trace, chosen, **options).run()
    routed = twin.Simulation(trace, chosen, routing=identity, **options).run()
    pd.testing.assert_frame_equal(alone.intervals, routed.intervals)


def test_a_link_is_missing_while_a_flow_that_it_carries_is() -> None:
    frame = flows()
    frame.iloc[210:213, 1] = np.nan
    frame.iloc[250:260, 0] = np.nan
    result = simulation(frame, ["last_value"]).run()
    observed = result.intervals.pivot_table(
        index="interval", columns="link", values="requested_mbps"
    )[list(LINKS)].to_numpy()
    filled = frame.interpolate(limit=3).to_numpy()[200:]
    expected = np.where(np.isnan(frame.to_numpy()[200:]).any(axis=1)[:, None], np.nan, 1.0)
    exact = filled @ np.array(USUAL).T
    # The short gap counts interpolated, and was observed as missing: the last value stayed.
    np.testing.assert_allclose(loads(result)[10:13], exact[10:13])
    assert (observed[11:14, 1] == observed[11, 1]).all()
    assert result.summary.query("link == 'A>B'")["missing_intervals"].item() == 10
    assert result.summary.query("link == 'B>C'")["missing_intervals"].item() == 0
    assert np.isnan(expected).any()


class Watching(twin.Policy):
    """Keeps what it is shown."""

    seen: ClassVar[list[np.ndarray]] = []

    def allocate(self, observation: twin.Observation) -> Any:
        self.seen.append(observation.demand_mbps.copy())
        return np.ones(3)


@pytest.mark.parametrize("at", [190, 197, 210])
def test_no_gap_of_a_flow_shows_what_fills_that_of_another(at: int) -> None:
    seen: list[list[np.ndarray]] = []
    for far in (1.0, 10.0):
        frame = flows()
        frame.iloc[at : at + 3, 0] = np.nan
        frame.iloc[at + 1 : at + 4, 1] = np.nan
        frame.iloc[at + 4 :, 1] *= far
        Watching.seen.clear()
        simulation(frame, [Watching]).run()
        seen.append(list(Watching.seen))
    early = 0
    for plain, other in zip(*seen, strict=True):
        if len(plain) <= at + 4:
            np.testing.assert_array_equal(plain, other)
            early += np.isnan(plain[at + 1 :, 0]).all()
    assert early or at < 195


def test_a_routed_network_is_fed_live_and_forked_like_any_other() -> None:
    frame = flows()
    frame.iloc[196:203, 0] = np.nan
    frame.iloc[230:232, 1] = np.nan
    frame.iloc[229:231, 0] = np.nan
    whole = twin.Trace.from_frame(frame)
    events = [
        twin.LinkFailure(links=["A>C"], start="10h 7min", duration="3h"),
        twin.Surge(links=["A-B"], start="9h", duration="5h", factor=1.4, ramp="20min"),
    ]
    options: dict[str, Any] = {
        "policies": ["conformal", "rolling_max", "ridge-like"][:2],
        "events": events, "routing": routing(), "links": {"A>B": {"lead_time": "20min"}},
        "sla_period": "8h",
    }  # fmt: skip
    replayed = twin.Simulation(whole, train=0.5, **options)
    replayed.run(until="8h")
    fork = replayed.fork()
    expected = table(replayed.run())
    assert table(fork.run()) == expected
    live = twin.Simulation(twin.LiveSource(head(whole, 200)), **options)
    for sample in range(200, 400):
        live.source.deliver(delivered(ReplaySource(whole), sample))
        live.step()
    assert table(live.result) == expected


@pytest.mark.parametrize("failing", [False, True])
def test_a_replay_that_is_routed_at_once_decides_as_one_that_is_fed_live(failing: bool) -> None:
    whole = twin.Trace.from_frame(flows())
    surge = twin.Surge(links=["A-B"], start="9h", duration="5h", factor=1.4, ramp="20min")
    late = twin.Surge(links=["A-C"], start="16h 7min", duration="1h", add_mbps=40)
    failure = twin.LinkFailure(links=["A>C"], start="20h 7min", duration="3h")
    options: dict[str, Any] = {
        "policies": ["conformal", "rolling_max"], "events": [surge],
        "routing": routing(), "links": {"A>B": {"lead_time": "20min"}}, "sla_period": "8h",
    }  # fmt: skip
    replayed = twin.Simulation(whole, train=0.5, **options)
    replayed.run(until="15h")
    added = [late, failure] if failing else [late]
    replayed.add(*added)
    replayed.run(until="21h")
    fork, kept = replayed.fork(), replayed.snapshot()
    expected = table(replayed.run())
    assert table(fork.run()) == expected
    assert table(twin.Simulation.restore(kept).run()) == expected
    live = twin.Simulation(twin.LiveSource(head(whole, 200)), **options)
    for sample in range(200, 400):
        if sample == 260:
            live.add(*added)
        live.source.deliver(delivered(ReplaySource(whole), sample))
        live.step()
    assert table(live.result) == expected


def test_a_matrix_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has shape \(2, 2\), not \(3, 2\)"):
        twin.RoutingTable(LINKS, FLOWS, [[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="a share that is negative or not finite"):
        twin.RoutingTable(LINKS, FLOWS, [[1, 0], [0, -1], [0, 0]])
    with pytest.raises(ValueError, match="no link 'X'"):
        twin.RoutingTable(LINKS, FLOWS, USUAL, {("X",): USUAL})
