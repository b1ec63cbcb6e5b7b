"""Conservation: whatever happens to a network, every Mbit that is offered is accounted for once."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import twin
from twin.events.base import event_kinds

Floats = NDArray[np.float64]
TICK_S, HISTORY, REPLAYED = 300, 96, 24
# Weights such that no two paths are equally short.
CIRCUITS = {
    ("a", "b"): 1.01, ("b", "c"): 1.03, ("c", "d"): 1.07, ("d", "e"): 1.13, ("e", "a"): 1.29,
    ("b", "d"): 1.61, ("e", "f"): 1.0,
}  # fmt: skip
SITES = "abcdef"
PAIRS = [(a, b) for a in SITES for b in SITES if a != b]
POLICIES = ["static_p95", "rolling_max"]


@cache
def demand() -> Floats:
    """Return what flows offer, Mbit/s, [ticks, flows]."""
    rng = np.random.default_rng(11)
    return rng.uniform(5, 60, (HISTORY + REPLAYED, len(PAIRS))).round(2)


@cache
def matrix() -> pd.DataFrame:
    ticks = np.arange(HISTORY + REPLAYED)
    return pd.DataFrame(
        {
            "time": np.repeat(ticks * TICK_S, len(PAIRS)),
            "src": [a for a, _ in PAIRS] * len(ticks),
            "dst": [b for _, b in PAIRS] * len(ticks),
            "demand": demand().ravel(),
        }
    )


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("conservation") / "tm.csv"
    matrix().to_csv(path, index=False)
    links = [
        {"a": a, "b": b, "capacity_mbps": 260, "weight": weight}
        for (a, b), weight in CIRCUITS.items()
    ]

    def run(events: list[dict[str, Any]], **keys: Any) -> twin.Result:
        spec = {
            "name": "conservation",
            "demand": {"source": "matrix", "path": str(path)},
            "replay": {"duration": f"{REPLAYED * 5}min"},
            "topology": {"links": links},
            "policies": POLICIES,
            "events": events,
            **keys,
        }
        return twin.run(spec)

    return run


def spans(whole_ticks: bool) -> st.SearchStrategy[dict[str, str]]:
    """Return when an event is: it ends an hour before the replay does."""
    seconds = st.integers(0, 3600 // TICK_S).map(lambda k: k * TICK_S)
    start = seconds if whole_ticks else st.integers(0, 3000)
    lasts = st.integers(1, 4).map(lambda k: k * TICK_S) if whole_ticks else st.integers(1, 1200)
    return st.builds(lambda a, b: {"start": f"{a}s", "duration": f"{b}s"}, start, lasts)


def events(whole_ticks: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    links = st.sampled_from([f"{a}>{b}" for a, b in CIRCUITS] + [f"{b}>{a}" for a, b in CIRCUITS])
    some = st.lists(links, min_size=1, max_size=4, unique=True)
    what = st.one_of(
        st.builds(lambda x: {"kind": "link_failure", "links": x}, some),
        st.builds(lambda x: {"kind": "node_failure", "sites": x}, st.sampled_from(SITES)),
        st.builds(
            lambda x, f: {"kind": "capacity_change", "links": x, "factor": f},
            some,
            st.floats(0.1, 1.5),
        ),
        st.builds(
            lambda x, f: {"kind": "surge", "sites": x, "factor": f},
            st.sampled_from(SITES),
            st.floats(0.0, 4.0),
        ),
    )
    one = st.builds(lambda a, b: a | b, what, spans(whole_ticks))
    return st.lists(one, max_size=4)


OTHERS: list[dict[str, Any]] = [
    {"kind": "srlg_failure", "groups": "duct", "duration": "13min"},
    {
        "kind": "maintenance",
        "links": "b>c",
        "drain": "3min",
        "duration": "15min",
        "overrun": "4min",
    },
    {"kind": "random_failures", "mtbf": "1h", "mttr": "7min", "duration": "40min"},
    {
        "kind": "capacity_profile",
        "links": "c>d",
        "points": [{"at": "0s", "factor": 0.3}, {"at": "7min", "factor": 1.0}],
    },
    {"kind": "surge", "links": "*>d", "factor": 3, "duration": "20min", "ramp": "8min"},
    {"kind": "ddos", "to": "e", "total_mbps": 900, "duration": "14min", "ramp": "2min"},
    {"kind": "retry_storm", "factor": 1.5, "half_life": "4min"},
    {"kind": "demand_shift", "from": "a", "to": "f", "cutover": "10min", "rollback": "30min"},
    {"kind": "growth", "steps": [{"at": "0s", "factor": 1.4}, {"at": "20min", "factor": 0.7}]},
    {"kind": "upgrade", "links": "a>b", "step": "200Mbit/s", "lead_time": "10min"},
    {"kind": "telemetry_gap", "links": "a>b", "duration": "17min"},
    {"kind": "telemetry_noise", "sd": "20%", "duration": "30min"},
    {"kind": "telemetry_delay", "delay": "10min", "duration": "30min"},
    {"kind": "telemetry_bias", "factor": 0.5, "duration": "30min"},
    {"kind": "forecast_outage", "duration": "30min"},
    {"kind": "policy_freeze", "duration": "30min"},
]
"""All kinds that are not drawn by themselves; some have effects that never end."""


def with_others() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return events of any kind, some of which may not overlap: these begin at other times."""
    start = st.integers(0, 3000).map(lambda s: {"start": f"{s}s"})
    kinds = st.lists(st.sampled_from(OTHERS), min_size=1, max_size=5, unique_by=lambda e: e["kind"])
    timed = kinds.flatmap(lambda some: st.tuples(*(start.map(each.__or__) for each in some)))
    return st.builds(lambda a, b: [*a, *b], events(whole_ticks=False), timed)


@settings(max_examples=40, deadline=None)
@given(happens=with_others(), delay=st.integers(0, 400))
def test_nothing_is_lost_and_nothing_is_made_whatever_happens(
    scenario: Any, happens: list[dict[str, Any]], delay: int
) -> None:
    keys = {"routing": {"detection_delay": f"{delay}s"}, "risk_groups": {"duct": ["a>b", "b>a"]}}
    result = scenario(happens, **keys)
    check_conservation(result)


@pytest.mark.parametrize("event", OTHERS, ids=lambda event: event["kind"])
def test_each_kind_alone_keeps_the_account(scenario: Any, event: dict[str, Any]) -> None:
    result = scenario([event | {"start": "7min"}], risk_groups={"duct": ["a>b", "b>a"]})
    check_conservation(result)


def test_every_kind_of_event_is_among_them() -> None:
    drawn = {"link_failure", "node_failure", "capacity_change", "surge"}
    assert drawn | {event["kind"] for event in OTHERS} == set(event_kinds())


@settings(max_examples=25, deadline=None)
@given(happens=events(whole_ticks=False), delay=st.integers(0, 400))
def test_once_all_has_ended_the_network_is_as_if_nothing_had_been(
    scenario: Any, happens: list[dict[str, Any]], delay: int
) -> None:
    result = scenario(happens, routing={"detection_delay": f"{delay}s"})
    check_conservation(result)
    last = 19
    calm, table = scenario([]).intervals, result.intervals
    calm, after = (each[each["interval"] > last].reset_index(drop=True) for each in (calm, table))
    for column in ("demand_mbps", "capacity_mbps"):
        np.testing.assert_allclose(after[column], calm[column], rtol=1e-12, atol=1e-9)


def check_conservation(result: twin.Result) -> None:
    flows, table = result.flow_service, result.intervals
    parts = flows[["served_mbit", "unserved_mbit", "unrouted_mbit"]]
    np.testing.assert_allclose(parts.sum(axis=1), flows["offered_mbit"], rtol=1e-9)
    assert (parts >= -1e-9).all(axis=None)
    # A link serves what it may at most, and the flows on it no more than they have.
    assert (table["served_mbps"] <= table["allocated_mbps"] + 1e-9).all()
    whole = table[~table["interval"].isin(list(result.recording.divided))]
    assert (whole["served_mbps"] <= whole["capacity_mbps"] + 1e-9).all()
    np.testing.assert_allclose(
        table["served_mbps"] + table["unmet_mbps"], table["demand_mbps"], rtol=1e-9, atol=1e-9
    )


@settings(max_examples=15, deadline=None)
@given(happens=events(whole_ticks=True))
def test_flows_are_served_the_least_share_over_their_paths(
    scenario: Any, happens: list[dict[str, Any]]
) -> None:
    happens = [event for event in happens if event["kind"] != "surge"]
    result = scenario(happens)
    expected = {policy: by_hand(result, happens, policy) for policy in POLICIES}
    flows = result.flow_service
    for policy in POLICIES:
        served = flows[flows["policy"] == policy].set_index("flow")["served_mbit"]
        for (a, b), mbit in zip(PAIRS, expected[policy], strict=True):
            assert served[f"{a}>{b}"] == pytest.approx(mbit, rel=1e-9, abs=1e-6)


def by_hand(result: twin.Result, happens: list[dict[str, Any]], policy: str) -> Floats:
    """Return what each flow was served: one flow, one tick and one path at a time."""
    table = result.intervals[result.intervals["policy"] == policy].set_index(["interval", "link"])
    load, served = table["demand_mbps"].to_dict(), table["served_mbps"].to_dict()
    total = np.zeros(len(PAIRS))
    for tick in range(REPLAYED):
        graph = nx.DiGraph()
        graph.add_nodes_from(SITES)
        for (a, b), weight in CIRCUITS.items():
            graph.add_edge(a, b, weight=weight)
            graph.add_edge(b, a, weight=weight)
        for event in happens:
            begin = int(event["start"][:-1])
            if not begin <= tick * TICK_S < begin + int(event["duration"][:-1]):
                continue
            if event["kind"] == "link_failure":
                graph.remove_edges_from([tuple(link.split(">")) for link in event["links"]])
            elif event["kind"] == "node_failure":
                graph.remove_edges_from([*graph.in_edges(event["sites"])])
                graph.remove_edges_from([*graph.out_edges(event["sites"])])
        for flow, (a, b) in enumerate(PAIRS):
            if not nx.has_path(graph, a, b):
                continue
            way = nx.shortest_path(graph, a, b, weight="weight")
            links = [(tick, f"{x}>{y}") for x, y in pairwise(way)]
            share = min(served[at] / load[at] for at in links)
            total[flow] += demand()[HISTORY + tick, flow] * share * TICK_S
    return total
