"""What policies observe and request under events of telemetry, forecasts and freezes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_kinds import HISTORY, REPLAYED, TICK, Floats, column, replay

import twin


class Sees(twin.Policy):
    """Keeps what it observes."""

    def allocate(self, observation: twin.Observation) -> Floats:
        seen.append(observation.demand_mbps[HISTORY:, 0].copy())
        return np.full(len(observation.links), 500.0)


seen: list[Floats] = []


def observed(*events: dict[str, Any], trace: twin.Trace | None = None) -> list[Floats]:
    seen.clear()
    result = replay(*events, policies=[Sees()], trace=trace)
    assert (column(result, "unmet_mbps") == 0).all()
    return list(seen[:REPLAYED])


def rising() -> twin.Trace:
    index = pd.Index(TICK * np.arange(HISTORY + REPLAYED), name="time")
    values = np.arange(HISTORY + REPLAYED, dtype=float) + 100 - HISTORY
    return twin.Trace.from_frame(pd.DataFrame({"link-1": values}, index=index))


def test_lost_samples_are_unknown_until_the_gap_has_ended() -> None:
    gap = {"kind": "telemetry_gap", "start": "10min", "duration": "10min"}
    told = observed(gap, trace=rising())
    np.testing.assert_array_equal(told[4], [100, 101, np.nan, np.nan])
    np.testing.assert_array_equal(told[5], [100, 101, 102, 103, 104])
    # The account is of what was there.
    np.testing.assert_array_equal(column(replay(gap, trace=rising()))[:4], [100, 101, 102, 103])
    long = {"kind": "telemetry_gap", "start": "10min", "duration": "65min"}
    assert np.isnan(observed(long, trace=rising())[-1]).sum() == 13


def test_late_samples_are_unknown_until_they_come() -> None:
    late = {"kind": "telemetry_delay", "start": "10min", "duration": "15min", "delay": "7min"}
    told = observed(late, trace=rising())
    np.testing.assert_array_equal(told[4], [100, 101, np.nan, np.nan])
    np.testing.assert_array_equal(told[5], [100, 101, 102, np.nan, np.nan])
    np.testing.assert_array_equal(told[6], [100, 101, 102, 103, np.nan, 105])
    np.testing.assert_array_equal(told[7], np.arange(100.0, 107))


def test_biased_and_noisy_samples_are_seen_wrong_and_counted_right() -> None:
    bias = {
        "kind": "telemetry_bias",
        "start": "10min",
        "duration": "10min",
        "factor": 2,
        "add_mbps": -50,
    }
    np.testing.assert_array_equal(observed(bias)[5], [100, 100, 150, 150, 100])
    noise = {"kind": "telemetry_noise", "start": "0s", "sd": "5%"}
    noisy = observed(noise)[-1]
    assert noisy.std() / 100 == pytest.approx(0.05, rel=0.5)
    # What is beside it moves none of its numbers; biases come first.
    np.testing.assert_allclose(observed(bias, noise)[-1][:2], noisy[:2])
    np.testing.assert_allclose(observed(bias, noise)[-1][2:4], noisy[2:4] * 1.5)
    assert (column(replay(noise)) == 100).all()


class Asks(twin.Policy):
    """Asks a model, and requests what it says."""

    def allocate(self, observation: twin.Observation) -> Floats:
        return observation.forecast("auto") + observation.interval


def test_forecasts_stay_or_fail_while_models_are_out() -> None:
    out = {"kind": "forecast_outage", "start": "10min", "duration": "10min", "answers": "frozen"}
    rng = np.random.default_rng(3)
    index = pd.Index(TICK * np.arange(HISTORY + REPLAYED), name="time")
    wave = pd.DataFrame({"link-1": rng.uniform(90, 110, len(index))}, index=index)
    trace = twin.Trace.from_frame(wave)
    plain = column(replay(policies=[Asks()], trace=trace), "requested_mbps") - np.arange(REPLAYED)
    held = column(replay(out, policies=[Asks()], trace=trace), "requested_mbps") - np.arange(
        REPLAYED
    )
    expected = plain.copy()
    expected[2:4] = plain[1]
    np.testing.assert_allclose(held, expected, rtol=1e-12)
    fails = out | {"answers": "nothing"}
    with pytest.raises(twin.RunError, match=r"tick 2 \(10min\): forecasts are out since 10min"):
        replay(fails, policies=[Asks()], trace=trace)
    stood_in = replay(
        fails, policies=[Asks()], trace=trace, fallback={"use": "static_p95", "after": 9}
    )
    assert stood_in.events["phase"].tolist().count("failure") == 2
    assert stood_in.events["detail"].iloc[0] == "models forecast nothing"


class Runs(twin.Policy):
    """Requests what a model forecasts."""

    def allocate(self, observation: twin.Observation) -> Floats:
        return observation.forecast("ridge_traffic")


@pytest.mark.parametrize(
    ("outages", "silent"),
    [
        ([], 0),
        ([("10min", "10min")], 2),
        # What is out from the first tick on needs a forecast to repeat.
        ([("0s", "15min")], 2),
        ([("10min", "15min"), ("21min", "10min")], 5),
        ([("110min", None)], 2),
    ],
)
def test_windows_count_where_models_ran(outages: list[tuple[str, Any]], silent: int) -> None:
    rng = np.random.default_rng(3)
    index = pd.Index(TICK * np.arange(HISTORY + REPLAYED), name="time")
    wave = pd.DataFrame({"a": rng.uniform(90, 110, len(index)), "b": 100.0}, index=index)
    trace = twin.Trace.from_frame(wave)
    out = [
        {"kind": "forecast_outage", "name": start, "start": start, "duration": duration,
         "answers": "frozen"}
        for start, duration in outages
    ]  # fmt: skip
    windows = replay(*out, policies=[Runs()], trace=trace).manifest["forecasts"]["windows"]
    assert windows == {"Runs": {"ridge_traffic": 2 * (REPLAYED - silent)}}


def test_an_outage_of_forecasts_that_is_called_off_leaves_nothing() -> None:
    rng = np.random.default_rng(3)
    index = pd.Index(TICK * np.arange(HISTORY + REPLAYED), name="time")
    trace = twin.Trace.from_frame(
        pd.DataFrame({"link-1": rng.uniform(90, 110, len(index))}, index=index)
    )
    out = {"kind": "forecast_outage", "start": "1h", "duration": "30min", "answers": "frozen"}
    simulation = twin.Simulation(trace, [Runs()], train=0.5, events=[out])
    simulation.run(until="30min")
    simulation.cancel(0)
    plain = replay(policies=[Runs()], trace=trace)
    pd.testing.assert_frame_equal(simulation.run().intervals, plain.intervals)


class Counts(twin.Policy):
    """Requests the number of the interval."""

    def allocate(self, observation: twin.Observation) -> Floats:
        return np.full(len(observation.links), 1.0 + observation.interval)


def test_a_freeze_keeps_the_last_request_of_the_policies_that_it_names() -> None:
    freeze = {
        "kind": "policy_freeze",
        "start": "10min",
        "duration": "10min",
        "policies": ["Counts"],
    }
    result = replay(freeze, policies=[Counts(), {"use": "last_value"}])
    np.testing.assert_array_equal(column(result, "requested_mbps")[:6], [1, 2, 2, 2, 5, 6])
