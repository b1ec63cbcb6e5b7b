"""Any sequence of events: nothing is lost on the way, and once all have ended nothing is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import twin

TICK, HISTORY, REPLAYED, BUSY = 300, 12, 36, 18
"""Events begin and end in the first BUSY intervals, echoes and crowds a little later."""
SITES = ("a", "b", "c", "d")
FLOWS = tuple(f"{a}>{b}" for a in SITES for b in SITES if a != b)
NET = {
    "sites": {},
    "links": [
        {"a": "a", "b": "b", "capacity_mbps": 500, "length_km": 100},
        {"a": "b", "b": "c", "capacity_mbps": 500, "length_km": 300},
        {"a": "c", "b": "d", "capacity_mbps": 400, "length_km": 200},
        {"a": "d", "b": "a", "capacity_mbps": 400, "length_km": 900},
        {"a": "a", "b": "c", "capacity_mbps": 300, "weight": 2, "length_km": 50},
    ],
}  # fmt: skip

_time = st.integers(1, BUSY * TICK // 2)
_links = st.sampled_from(["all", "a>*", ["b>c"], ["c>d", "d>c"]])


def _event(kind: str, **keys: Any) -> st.SearchStrategy[dict[str, Any]]:
    times = {"start": _time, "duration": _time}
    return st.fixed_dictionaries({"kind": st.just(kind), **times, **keys})


_events = st.lists(
    st.one_of(
        _event("link_failure", links=_links),
        _event("node_failure", sites=st.sampled_from([["b"], ["c", "d"]])),
        _event("srlg_failure", groups=st.just(["duct"])),
        _event("maintenance", links=_links, drain=st.integers(0, 0), overrun=st.integers(0, 900)),
        _event("random_failures", links=_links, mtbf=st.integers(600, 4000), mttr=st.just(300)),
        _event("capacity_change", links=_links, factor=st.floats(0.1, 2)),
        _event("capacity_profile", links=_links, points=st.just([{"at": "0s", "factor": 0.5}])),
        _event("surge", links=_links, factor=st.floats(0, 3), add_mbps=st.floats(-50, 50)),
        _event("surge", sites=st.just(["a"]), factor=st.floats(1, 3), half_life=st.just(60),
               shape=st.just("flash_crowd")),
        _event("ddos", to=st.sampled_from([["a"], ["b", "c"]]), total_mbps=st.floats(1, 500)),
        _event("demand_shift", links=st.sampled_from([["a>b", "a>c"], ["c>d"]]), to=st.just("b>a"),
               share=st.floats(0, 1), cutover=st.integers(0, 600), rollback=st.integers(601, 3000)),
        _event("retry_storm", factor=st.floats(0.1, 2), half_life=st.just(30)),
        _event("telemetry_gap", links=_links),
        _event("telemetry_delay", links=_links, delay=st.integers(1, 900)),
        _event("telemetry_noise", links=_links, sd=st.just(0.1)),
        _event("telemetry_bias", links=_links, factor=st.floats(0, 2)),
        _event("policy_freeze"),
        _event("forecast_outage", answers=st.just("frozen")),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


def _written(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as a scenario has them: a name each, and times as text."""
    written = []
    for i, event in enumerate(events):
        keys = {"name": f"e{i}"} | event
        if event["kind"] == "demand_shift":
            keys.pop("duration")
        if event["kind"] == "maintenance":
            keys["drain"] = min(600, event["duration"] // 2)
        for key in ("start", "duration", "drain", "overrun", "mtbf", "mttr", "half_life", "cutover",
                    "rollback", "delay"):  # fmt: skip
            if key in keys:
                keys[key] = f"{keys[key]}s"
        written.append(keys)
    return written


def _demand() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(4)
    return rng.uniform(10, 60, (HISTORY + REPLAYED, len(FLOWS))).round(3)


def _run(tmp: Any, events: list[dict[str, Any]], delay: int) -> twin.Result:
    path = tmp / "tm.csv"
    if not path.exists():
        rows = [
            {"time": TICK * k, "src": flow[0], "dst": flow[2], "demand": mbps}
            for k, row in enumerate(_demand())
            for flow, mbps in zip(FLOWS, row, strict=True)
        ]
        pd.DataFrame(rows).to_csv(path, index=False)
    return twin.run(
        {
            "name": "any",
            "demand": {"source": "matrix", "path": str(path), "train": HISTORY / 48 + 1e-6},
            "topology": NET,
            "risk_groups": {"duct": ["a>b", "b>a", "b>c"]},
            "routing": {"by": "ecmp", "detection_delay": f"{delay}s"},
            "policies": ["static_p95", "last_value"],
            "events": _written(events),
        }
    )


@settings(max_examples=25, deadline=None)
@given(events=_events, delay=st.sampled_from([0, 40, 700]))
def test_the_account_closes_and_the_end_is_as_if_nothing_had_been(
    tmp_path_factory: Any, events: list[dict[str, Any]], delay: int
) -> None:
    tmp = tmp_path_factory.getbasetemp()
    result, plain = _run(tmp, events, delay), _run(tmp, [], delay)
    table = result.intervals
    served = table["served_mbps"]
    np.testing.assert_allclose(served + table["unmet_mbps"], table["demand_mbps"], atol=1e-9)
    assert (served <= table["capacity_mbps"] + 1e-9).all()
    recording = result.recording
    assert recording.flow_demand is not None
    assert (recording.flow_demand >= 0).all()
    # What is not on its first or last links is unrouted: what enters the network is what leaves it.
    loads = recording.demand
    offered = recording.flow_demand.sum() * TICK
    place = {name: i for i, name in enumerate(recording.links)}
    for site in SITES:
        out = sum(loads[:, i].sum() for name, i in place.items() if name[0] == site) * TICK
        into = sum(loads[:, i].sum() for name, i in place.items() if name[2] == site) * TICK
        starts = sum(recording.flow_demand[:, i].sum() * TICK - recording.unrouted.get(flow, 0.0)
                     for i, flow in enumerate(FLOWS) if flow[0] == site)  # fmt: skip
        ends = sum(recording.flow_demand[:, i].sum() * TICK - recording.unrouted.get(flow, 0.0)
                   for i, flow in enumerate(FLOWS) if flow[2] == site)  # fmt: skip
        assert abs(out - into - starts + ends) <= 1e-9 * offered
    # All events, crowds and echoes are over by then.
    end = 27
    np.testing.assert_array_equal(loads[end:], plain.recording.demand[end:])
    capacity = table[table["interval"] >= end]["capacity_mbps"].to_numpy()
    before = plain.intervals
    np.testing.assert_array_equal(capacity, before[before["interval"] >= end]["capacity_mbps"])
    static = (table["interval"] >= end) & (table["policy"] == "static_p95")
    for name in ("requested_mbps", "allocated_mbps", "served_mbps", "violation_s"):
        np.testing.assert_array_equal(table[static][name], before[static][name])
