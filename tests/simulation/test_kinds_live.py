"""Events of every sort in a live simulation, in copies and in branches, as in a replay."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
from worlds import HISTORY, INTERVALS, delivered, trace

import twin
from twin.events.base import event_kinds
from twin.telemetry.source import LiveSource, ReplaySource, head

LINKS = {"defaults": {"capacity_mbps": 900}}
EVENTS: list[dict[str, Any]] = [
    {"kind": "growth", "start": "0h", "rate": "40%/day"},
    {"kind": "surge", "links": ["a"], "start": "1h", "factor": 2, "shape": "flash_crowd",
     "ramp": "4min", "half_life": "9min"},
    {"kind": "surge", "links": ["c"], "start": "1h", "duration": "20min", "factor": 1.3,
     "every": "1h", "times": 4},
    {"kind": "demand_shift", "links": ["a", "b"], "to": "c", "share": "30%", "start": "4h",
     "cutover": "37min", "curve": "smooth", "rollback": "3h"},
    {"kind": "link_failure", "links": ["b"], "start": "2h 2min 30s", "duration": "45min"},
    {"kind": "retry_storm", "start": "0h", "factor": 0.7, "half_life": "12min"},
    {"kind": "random_failures", "links": ["a"], "start": "0h", "duration": "12h", "mtbf": "3h",
     "mttr": "20min"},
    {"kind": "upgrade", "start": "1h", "at": "50%", "over": "2h", "every": "1h", "step": 100,
     "lead_time": "70min"},
    {"kind": "telemetry_gap", "links": ["a"], "start": "3h", "duration": "40min"},
    {"kind": "telemetry_delay", "links": ["b"], "start": "3h", "duration": "40min",
     "delay": "12min"},
    {"kind": "telemetry_noise", "start": "5h", "duration": "3h", "sd": "5%"},
    {"kind": "telemetry_bias", "links": ["c"], "start": "6h", "duration": "1h", "factor": 0.8},
    {"kind": "forecast_outage", "start": "7h", "duration": "30min", "answers": "frozen"},
    {"kind": "policy_freeze", "start": "9h", "duration": "30min", "policies": ["ridge"]},
]  # fmt: skip
POLICIES = ["rolling_max", {"name": "ridge", "use": "forecast", "model": "ridge"}]


def simulation(source: Any, events: Any = EVENTS) -> twin.Simulation:
    share = (HISTORY + 0.5) / (HISTORY + INTERVALS)
    return twin.Simulation(
        source, list(POLICIES), events=events, links=LINKS, train=share, sla_period="8h"
    )


def tables(result: twin.Result) -> tuple[pd.DataFrame, pd.DataFrame]:
    return result.intervals, result.events


def same(a: tuple[pd.DataFrame, ...], b: tuple[pd.DataFrame, ...]) -> None:
    for left, right in zip(a, b, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_a_live_simulation_sees_the_same_as_a_replay() -> None:
    replay = ReplaySource(trace())
    live = simulation(LiveSource(head(trace(), HISTORY)))
    for sample in range(HISTORY, HISTORY + 126):
        live.source.deliver(delivered(replay, sample))
    same(tables(live.run()), tables(simulation(trace()).run("10h 30min")))


def test_a_copy_goes_on_as_its_original() -> None:
    started = simulation(trace())
    started.run("7h 10min")
    copies = started.fork(), pickle.loads(pickle.dumps(started))
    whole = tables(started.run("10h 30min"))
    for copy in copies:
        same(tables(copy.run("10h 30min")), whole)


def test_an_event_that_is_added_later_is_as_if_it_had_always_been_planned() -> None:
    late = [event for event in EVENTS if event["kind"] not in ("growth", "retry_storm")]
    first, then = late[:3], late[3:]
    started = simulation(trace(), first)
    started.run("1h 40min")
    started.add(*(event_kinds()[event["kind"]](**event) for event in then if event["start"] > "2h"))
    kept = first + [event for event in then if event["start"] > "2h"]
    same(tables(started.run()), tables(simulation(trace(), kept).run()))


def test_a_branch_moves_no_failure_that_is_drawn_by_chance() -> None:
    chance = next(event for event in EVENTS if event["kind"] == "random_failures")
    trunk = simulation(trace(), [chance])
    trunk.run("2h")
    branch = trunk.fork()
    other = {"links": ["b", "c"], "start": "now", "mtbf": "1h", "mttr": "9min", "name": "other"}
    branch.add(twin.RandomFailures(**other))
    drawn = [sim.run().events.query("name == ''")["time_s"] for sim in (trunk, branch)]
    np.testing.assert_array_equal(*drawn)
    assert len(drawn[0]) > 4
