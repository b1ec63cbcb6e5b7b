"""Both sides of a what-if decide once for what is the same there: to the byte as each by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_network

import twin
from twin.core.arrays import Ints
from twin.engine import foretold
from twin.engine.foretold import Ahead
from twin.engine.present import Present
from twin.events.base import event_kinds
from twin.live.what_if import WhatIf, demand_paths, what_if
from twin.telemetry.source import ReplaySource, head

sys.path.insert(0, str(Path(__file__).parents[1] / "simulation"))

from worlds import HISTORY, delivered, simulation, trace

EVENTS: list[dict[str, Any]] = [
    {"kind": "surge", "links": "A>B", "factor": 3, "duration": "20min", "ramp": "8min"},
    {"kind": "link_failure", "links": "A>C", "duration": "25min"},
    {"kind": "node_failure", "sites": "B", "duration": "15min"},
    {"kind": "srlg_failure", "groups": "duct", "duration": "13min"},
    {"kind": "maintenance", "links": "B>C", "drain": "3min", "duration": "15min"},
    {"kind": "random_failures", "mtbf": "1h", "mttr": "7min", "duration": "40min"},
    {"kind": "capacity_change", "links": "C>D", "factor": 0.2, "duration": "20min"},
    {
        "kind": "capacity_profile",
        "links": "C>D",
        "points": [{"at": "0s", "factor": 0.3}, {"at": "7min", "factor": 1.0}],
    },
    {"kind": "ddos", "to": "D", "total_mbps": 900, "duration": "14min", "ramp": "2min"},
    {"kind": "retry_storm", "factor": 1.5, "half_life": "4min"},
    {"kind": "demand_shift", "from": "A", "to": "C", "cutover": "10min", "rollback": "30min"},
    {"kind": "growth", "steps": [{"at": "0s", "factor": 1.4}, {"at": "20min", "factor": 0.7}]},
    {"kind": "upgrade", "links": "A>B", "step": "200Mbit/s", "lead_time": "10min"},
    {"kind": "telemetry_gap", "links": "A>B", "duration": "17min"},
    {"kind": "telemetry_noise", "sd": "20%", "duration": "30min"},
    {"kind": "telemetry_delay", "delay": "10min", "duration": "30min"},
    {"kind": "telemetry_bias", "factor": 0.5, "duration": "30min"},
    {"kind": "forecast_outage", "duration": "30min"},
    {"kind": "policy_freeze", "duration": "30min"},
]
SURGE = {"kind": "surge", "links": ["a"], "start": "now", "duration": "30min", "factor": 2}


@cache
def links(lead_time: str = "0s") -> twin.Simulation:
    """Three links with gaps in their past, four KPIs, and policies that can be asked ahead."""
    policies = ["conformal", "quantile", "cost_aware", "last_value"]
    history = twin.LiveSource(head(trace(), HISTORY))
    defaults = {"capacity_mbps": 900, "lead_time": lead_time}
    made = simulation(history, policies=policies, links={"defaults": defaults})
    replay = ReplaySource(trace())
    for sample in range(HISTORY, HISTORY + 5):
        made.source.deliver(delivered(replay, sample))
        made.step()
    return made


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> twin.Simulation:
    """Sites that send to each other over a ring."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_network, "TICKS", 700)
        path = small_network.network(
            tmp_path_factory.mktemp("ring"),
            policies=["conformal", "last_value"],
            risk_groups={"duct": ["A>B", "B>A"]},
            routing={"detection_delay": "100s"},
            fallback={"use": "rolling_max"},
        )
    made = twin.Simulation.of(twin.Scenario.load(path))
    for _ in range(3):
        made.step()
    return made


def same(
    patch: pytest.MonkeyPatch, of: twin.Simulation, **asked: Any
) -> tuple[WhatIf, list[list[int]]]:
    """Return what is answered, as it is the plain way too, and the links that were decided for."""
    decided: list[list[int]] = []
    decide: Callable[..., None] = foretold._decide

    def noted(*args: Any) -> None:
        some: Ints = args[4]
        decided.append(some.tolist())
        decide(*args)

    options: dict[str, Any] = {"for_s": 3600, "replications": 4, "failures": False} | asked
    options["paths"] = demand_paths(of, options["for_s"])
    with patch.context() as patched:
        patched.setattr(foretold, "_decide", noted)
        shared = what_if(of, **options)
        patched.setattr(Present, "ahead", lambda *_, **__: Ahead())
        plain = what_if(of, **options)
    for ours, theirs in ((shared.asked, plain.asked), (shared.without, plain.without)):
        for name, rows in asdict(ours).items():
            np.testing.assert_array_equal(rows, asdict(theirs)[name], err_msg=name)
    return shared, decided


def test_links_that_an_event_does_not_touch_are_decided_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, decided = same(
        monkeypatch, links(), policies=["last_value", "quantile"], events=[SURGE]
    )
    assert decided == [[0, 1, 2], [0]]
    asked, without = answer.asked.allocation[:, 1], answer.without.allocation[:, 1]
    assert (asked != without).any()


class Longer(twin.Policy):
    """Asks for what is further ahead, once futures have begun."""

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return ("auto",)

    def for_links(self, links: Ints) -> twin.Policy:
        return self

    def allocate(self, observation: twin.Observation) -> Any:
        ahead = 20 if observation.interval >= 8 else 0
        return observation.forecast("auto", ahead)


@pytest.mark.parametrize("columns", [4, 5])
def test_what_auto_picks_for_some_columns_is_for_these_alone(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    made = simulation(twin.LiveSource(head(trace(), HISTORY)), policies=[Longer])
    replay = ReplaySource(trace())
    for sample in range(HISTORY, HISTORY + 5):
        made.source.deliver(delivered(replay, sample))
        made.step()
    monkeypatch.setattr(foretold, "_COLUMNS", columns)
    same(monkeypatch, made, events=[SURGE])


@pytest.mark.long
def test_orders_that_are_under_way_are_known_ahead_unless_links_are_set_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {"policies": ["conformal", "cost_aware"], "events": [SURGE]}
    _, decided = same(monkeypatch, links("15min"), **asked)
    assert decided == [[0, 1, 2], [0]]
    sooner = {name: {"lead_time": "5min"} for name in ("a", "b", "c")}
    answer, decided = same(monkeypatch, links("15min"), links=sooner, **asked)
    assert decided == [[0, 1, 2], [0, 1, 2]]
    assert (answer.asked.allocation != answer.without.allocation).any()


@pytest.mark.long
def test_a_policy_that_takes_over_decides_for_all_links(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["cost_aware", {"name": "conformal", "use": "conformal", "target": 0.2}]
    few = {"b": {"capacity_mbps": 300}}
    _, decided = same(monkeypatch, links(), policies=asked, events=[SURGE], links=few)
    # Both as they are; what takes over in the place of one, and the other where it is another.
    assert sorted(decided) == [[0], [0, 1, 2], [0, 1, 2]]


@pytest.mark.long
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["kind"])
def test_what_is_shared_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, ring: twin.Simulation, event: dict[str, Any]
) -> None:
    rng = np.random.default_rng(len(event["kind"]))
    other = EVENTS[int(rng.integers(len(EVENTS)))]
    later = [
        each | {"start": f"{ring.now + int(rng.integers(1800)):.0f}s"} for each in (event, other)
    ]
    same(monkeypatch, ring, events=[event | {"start": "now"}])
    if other["kind"] != event["kind"]:
        same(monkeypatch, ring, events=later)


def test_every_kind_of_event_is_tried() -> None:
    assert {event["kind"] for event in EVENTS} == set(event_kinds())
