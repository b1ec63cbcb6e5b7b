"""Every kind of event against a small case that was calculated by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray

import twin
from twin.api.branches import run_branches
from twin.events.base import event_kinds, event_of

Floats = NDArray[np.float64]
HISTORY, REPLAYED, TICK = 24, 24, 300


def flat(links: int = 1, mbps: float = 100.0) -> twin.Trace:
    index = pd.Index(TICK * np.arange(HISTORY + REPLAYED), name="time")
    names = [f"link-{i + 1}" for i in range(links)]
    return twin.Trace.from_frame(pd.DataFrame(mbps, index=index, columns=names))


def replay(*events: dict[str, Any], policies: Any = ("static_p95",), **more: Any) -> twin.Result:
    trace = more.pop("trace", None) or flat(more.pop("count", 1))
    return twin.Simulation(trace, list(policies), train=0.5, events=events, **more).run()


def column(result: twin.Result, name: str = "demand_mbps", link: str = "link-1") -> Floats:
    rows = result.intervals
    rows = rows[(rows["link"] == link) & (rows["policy"] == rows["policy"].iloc[0])]
    return rows[name].to_numpy()


# Surges


def test_a_flash_crowd_rises_and_halves() -> None:
    crowd = {"kind": "surge", "shape": "flash_crowd", "start": "10min", "factor": 3, "ramp": "5min",
             "half_life": "10min"}  # fmt: skip
    found = column(replay(crowd))
    # Its mean over 5 min at an age of k/2 half-lives: the integral of 2 ** -x from there on.
    decay = [(2 ** -(k / 2) - 2 ** -((k + 1) / 2)) / math.log(2) * 2 for k in range(REPLAYED - 3)]
    expected = [100, 100, 200, *(100 * (1 + 2 * share) for share in decay)]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_crowd_decays_as_exactly_within_long_intervals() -> None:
    crowd = {"kind": "surge", "shape": "flash_crowd", "start": "7min", "add_mbps": 60,
             "half_life": "20s", "duration": "9min"}  # fmt: skip
    grown = {"kind": "growth", "start": "0s", "rate": "50%/day"}
    found = column(replay(crowd, grown)) - column(replay(grown))
    area = 60 * 20 / math.log(2) * (1 - 2.0**-20)
    assert found.sum() * TICK == pytest.approx(area, rel=1e-9)
    assert found[1] * TICK == pytest.approx(60 * 20 / math.log(2) * (1 - 2.0**-9), rel=1e-9)


def test_a_surge_without_an_end_rises_and_stays() -> None:
    surge = {"kind": "surge", "start": "10min", "factor": 3, "ramp": "10min"}
    assert column(replay(surge)).tolist() == [100, 100, 150, 250, *[300] * (REPLAYED - 4)]
    square = {"kind": "surge", "start": "10min", "add_mbps": 7, "shape": "square"}
    assert column(replay(square)).tolist() == [100, 100, *[107] * (REPLAYED - 2)]


def test_a_surge_repeats_by_its_calendar() -> None:
    daily = {"kind": "surge", "start": "10min", "duration": "5min", "factor": 2, "shape": "square",
             "every": "30min"}  # fmt: skip
    doubled = {k for k, mbps in enumerate(column(replay(daily))) if mbps == 200}
    assert doubled == {2, 8, 14, 20}
    doubled = {k for k, mbps in enumerate(column(replay(daily | {"times": 2}))) if mbps == 200}
    assert doubled == {2, 8}
    until = column(replay(daily | {"until": "70min"}))
    assert {k for k, mbps in enumerate(until) if mbps == 200} == {2, 8}
    log = replay(daily).events
    assert log["phase"].tolist() == ["start", "end"] * 4
    assert log["time_s"].tolist() == [600, 900, 2400, 2700, 4200, 4500, 6000, 6300]


def test_growth_compounds_and_stays_or_steps() -> None:
    found = column(
        replay({"kind": "growth", "start": "30min", "rate": "20%/day", "duration": "1h"})
    )
    rate = math.log(1.2) / 86_400

    def mean(k: int) -> float:
        a, b = 300 * k - 1800, 300 * k - 1500
        if b <= 0:
            return 100.0
        if a >= 3600:
            return 100 * math.exp(rate * 3600)
        return 100 * (math.exp(rate * b) - math.exp(rate * a)) / rate / 300

    np.testing.assert_allclose(found, [mean(k) for k in range(REPLAYED)], rtol=1e-12)
    steps = [{"at": "5min", "factor": 1.5}, {"at": "10min", "factor": 0.5}]
    found = column(replay({"kind": "growth", "start": "5min", "steps": steps}))
    np.testing.assert_allclose(found, [100, 100, 150, *[50] * 21])


def test_an_attack_is_added_after_all_factors() -> None:
    attack = {"kind": "ddos", "links": ["link-1", "link-2"], "start": "5min", "duration": "20min",
              "total_mbps": 80, "ramp": "5min"}  # fmt: skip
    doubled = {"kind": "surge", "start": "0s", "duration": "1h", "factor": 2}
    result = replay(attack, doubled, count=3)
    for link, extra in (("link-1", 40), ("link-2", 40), ("link-3", 0)):
        np.testing.assert_allclose(
            column(result, link=link)[:7], 200 + extra * np.array([0, 0.5, 1, 1, 0.5, 0, 0])
        )


def test_demand_moves_to_another_link_and_back() -> None:
    shift = {"kind": "demand_shift", "links": ["link-1"], "to": "link-2", "start": "5min",
             "share": "40%", "cutover": "10min", "rollback": "30min"}  # fmt: skip
    doubled = {"kind": "surge", "links": ["link-2"], "start": "0s", "duration": "2h", "factor": 2}
    result = replay(shift, doubled, count=2)
    moved = 40 * np.array([0, 0.25, 0.75, 1, 1, 1, 1, 0.75, 0.25, 0, 0])
    np.testing.assert_allclose(column(result)[:11], 100 - moved)
    # What has moved is doubled where it arrives.
    np.testing.assert_allclose(column(result, link="link-2")[:11], 2 * (100 + moved))
    smooth = column(replay(shift | {"curve": "smooth"}, count=2))
    # The mean of 3 u^2 - 2 u^3 over [0, 1/2] is 2 (1/8 - 1/32) = 3/16.
    np.testing.assert_allclose(smooth[1:3], [100 - 40 * 3 / 16, 100 - 40 * 13 / 16])


# A network: a-b, b-c, a-c (longer), c-d

NET = """a,b,capacity_mbps,weight,length_km
a,b,1000,1,100
b,c,1000,1,50
a,c,1000,3,400
c,d,1000,1,
"""
FLOWS = {"a>c": 60.0, "b>d": 40.0, "d>a": 20.0, "a>d": 10.0}


@pytest.fixture
def network(tmp_path: Path) -> Any:
    (tmp_path / "net.csv").write_text(NET)
    rows = [
        {"time": TICK * k, "src": flow[0], "dst": flow[2], "demand": mbps}
        for k in range(HISTORY + REPLAYED)
        for flow, mbps in FLOWS.items()
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "tm.csv", index=False)

    def run(*events: dict[str, Any], **more: Any) -> twin.Result:
        spec = {
            "topology": {"path": "net.csv"},
            "demand": {"source": "matrix", "path": "tm.csv", "train": 0.5},
            "policies": ["static_p95"],
            "events": list(events),
        } | more
        (tmp_path / "s.yaml").write_text(yaml.safe_dump(spec))
        return twin.run(tmp_path / "s.yaml")

    return run


def loads(result: twin.Result, *links: str) -> Floats:
    return np.array([column(result, link=link) for link in links])


@pytest.mark.parametrize(
    ("keys", "doubled"),
    [
        ({"sites": "d"}, {"b>d", "d>a", "a>d"}),
        ({"from": "a"}, {"a>c", "a>d"}),
        ({"from": ["a", "b"], "to": "d"}, {"a>d", "b>d"}),
        ({"links": "*>d", "from": "a"}, {"a>d"}),
    ],
)
def test_a_surge_is_of_the_flows_at_its_sites(
    network: Any, keys: dict[str, Any], doubled: set[str]
) -> None:
    event = {"kind": "surge", "start": "5min", "duration": "5min", "factor": 2, **keys}
    x = {flow: mbps * (2 if flow in doubled else 1) for flow, mbps in FLOWS.items()}
    found = loads(network(event), "a>b", "b>c", "c>d", "d>c")[:, 1]
    expected = [x["a>c"] + x["a>d"], x["a>c"] + x["a>d"] + x["b>d"], x["b>d"] + x["a>d"], x["d>a"]]
    np.testing.assert_allclose(found, expected)


def test_a_service_moves_from_site_to_site(network: Any) -> None:
    shift = {"kind": "demand_shift", "from": "b", "to": "a", "share": "50%", "start": "5min"}
    found = loads(network(shift), "a>b", "b>c", "c>d")
    np.testing.assert_allclose(found[:, 1], [90, 110, 50])
    np.testing.assert_allclose(found[:, 0], [70, 110, 50])


def test_a_service_moves_to_where_it_had_no_traffic(network: Any) -> None:
    links = ("a>b", "b>c", "c>d", "b>a", "c>b")
    # The matrix has neither b>c nor d>b.
    shift = {"kind": "demand_shift", "from": "a", "to": "b", "share": "50%", "start": "5min"}
    result = network(shift)
    np.testing.assert_allclose(loads(result, *links)[:, 0], [70, 110, 50, 20, 20])
    np.testing.assert_allclose(loads(result, *links)[:, 1], [35, 110, 50, 10, 20])
    flows = result.flow_totals.set_index("flow")["offered_mbit"]
    assert flows["b>c"] == pytest.approx(30 * TICK * (REPLAYED - 1))
    assert result.manifest["trace"]["notes"] == [
        "2 flows without demand until events bring some: 'b>c', 'd>b'"
    ]
    # By name, one after the other: what has moved moves on.
    named = {"kind": "demand_shift", "links": ["a>d"], "to": "d>b", "start": "5min"}
    on = {"kind": "demand_shift", "links": ["d>b"], "to": "c>a", "start": "10min"}
    found = loads(network(named, on), "a>b", "c>b", "b>a", "d>c")
    np.testing.assert_allclose(found[:, 1], [60, 30, 20, 30])
    np.testing.assert_allclose(found[:, 2], [60, 30, 30, 20])
    # In a branch, on the past of a trunk that has no such flow.
    calm, event = network(), shift | {"start": "now"}
    branched = run_branches(calm.scenario, 300.0, [{"name": "moved", "events": [event]}]).results
    pd.testing.assert_frame_equal(branched["moved"].intervals, result.intervals)
    pd.testing.assert_frame_equal(branched["trunk"].intervals, calm.intervals)
    # Under way it is too late for new flows.
    with pytest.raises(twin.InputError, match="no flow 'b>c' here that demand could move to"):
        twin.Simulation.of(calm.scenario).add(event_of(event))


def test_until_a_failure_is_detected_traffic_is_offered_to_the_dead_link(network: Any) -> None:
    failure = {"kind": "link_failure", "links": ["b>c"], "start": "5min", "duration": "20min"}
    short = {"kind": "link_failure", "links": ["c>d"], "start": "40min", "duration": "50s"}
    result = network(failure, short, routing={"detection_delay": "1min"})
    measured = loads(result, "b>c", "a>c", "b>a")
    # Dead for a minute; then a>c and a>d go straight, and b>d over a. Back a minute after repair.
    np.testing.assert_allclose(measured[:, 0], [110, 0, 20])
    np.testing.assert_allclose(measured[:, 1], [110 / 5, 110 * 4 / 5, 20 + 40 * 4 / 5])
    np.testing.assert_allclose(measured[:, 2], [0, 110, 60])
    np.testing.assert_allclose(measured[:, 5], [110 * 4 / 5, 110 / 5, 20 + 40 / 5])
    unmet = column(result, "unmet_mbps", "b>c")
    np.testing.assert_allclose(unmet[:7], [0, 110 / 5, 0, 0, 0, 0, 0])
    # A failure that is over before it is detected moves nothing, and loses what it is offered.
    np.testing.assert_allclose(column(result, "unmet_mbps", "c>d")[8], 50 * 50 / 300)
    assert result.manifest.get("unrouted_mbit", {}) == {}


def test_maintenance_drains_without_loss_and_may_overrun(network: Any) -> None:
    work = {"kind": "maintenance", "links": ["b>c"], "start": "5min", "duration": "15min",
            "drain": "5min", "overrun": "10min"}  # fmt: skip
    result = network(work)
    measured = loads(result, "b>c", "a>c")
    np.testing.assert_allclose(measured[0, :8], [110, 0, 0, 0, 0, 0, 110, 110])
    np.testing.assert_allclose(measured[1, :8], [0, *[110] * 5, 0, 0])
    np.testing.assert_allclose(
        column(result, "capacity_mbps", "b>c")[:7], [1000] * 2 + [0] * 4 + [1000]
    )
    assert column(result, "unmet_mbps", "b>c").sum() == 0
    log = result.events.query("kind == 'maintenance'")
    assert log["phase"].tolist() == ["start", "down", "overrun", "end"]
    assert log["time_s"].tolist() == [300, 600, 1200, 1800]
    # The only way to a site is kept until it goes down.
    alone = network(work | {"links": None, "sites": ["d"], "overrun": "0s"})
    np.testing.assert_allclose(column(alone, link="c>d")[:5], [50, 50, 0, 0, 50])
    # Each flow is unrouted for the ten minutes that the site is down.
    lost = {flow: FLOWS[flow] * 600 for flow in ("b>d", "d>a", "a>d")}
    assert alone.recording.unrouted == pytest.approx(lost)


def test_random_failures_are_exponential_and_of_each_circuit_its_own(network: Any) -> None:
    event = {
        "kind": "random_failures",
        "start": "0s",
        "mtbf": "20min",
        "mttr": "5min",
        "links": "a>*",
    }
    result = network(event)
    log = result.events
    assert set(log["links"]) == {'["a>b", "b>a"]', '["a>c", "c>a"]'}
    # A second event, or other links, move none of them.
    beside = {"kind": "random_failures", "name": "other", "links": ["c>d"], "start": "0s",
              "mtbf": "10min", "mttr": "1min"}  # fmt: skip
    assert (
        log["time_s"].tolist()
        == network(beside, event).events.query("name != 'other'")["time_s"].tolist()
    )
    wider = network(event | {"links": "all"}).events
    for failed, times in log.groupby("links")["time_s"]:
        assert times.tolist() == wider[wider["links"] == failed]["time_s"].tolist()
    assert network(event, seed=2).events["time_s"].tolist() != log["time_s"].tolist()


def test_random_failures_have_the_means_that_they_state() -> None:
    from twin.events.base import Scope
    from twin.events.random_failures import RandomFailures

    names = tuple(f"l{i}" for i in range(60))
    event = RandomFailures(start="0s", mtbf="10h", mttr="2h")
    scope = Scope(names, names, 2_000 * 3600.0, 1, "")
    changes = [change for change in event.changes(scope) if change.logged]
    down, up = (
        np.array([each.time for each in changes if each.logged == which])
        for which in ("start", "end")
    )
    links = [int(np.flatnonzero(each.links)[0]) for each in changes if each.logged == "start"]
    repair = up - down
    assert repair.mean() / 3600 == pytest.approx(2, rel=0.05)
    assert repair.std() == pytest.approx(repair.mean(), rel=0.05)
    # Up for 10 of 12 hours: 60 links x 2,000 h / 12 h.
    assert len(links) == pytest.approx(10_000, rel=0.05)


def test_a_profile_of_capacities_holds_until_its_next_point(tmp_path: Path, make: Any) -> None:
    points = [{"at": "0s", "factor": 0.5}, {"at": "5min", "capacity_mbps": 80}]
    event = {"kind": "capacity_profile", "links": ["link-1"], "start": "5min", "duration": "15min",
             "points": points}  # fmt: skip
    links = {"defaults": {"capacity_mbps": 150}}
    result = replay(event, links=links)
    expected = [150, 75, 80, 80, 150, 150]
    np.testing.assert_allclose(column(result, "capacity_mbps")[:6], expected)
    np.testing.assert_allclose(column(result, "unmet_mbps")[:6], [0, 25, 20, 20, 0, 0])
    (tmp_path / "rain.csv").write_text("time,capacity_mbps\n0,75\n5min,80\n")
    event = {k: v for k, v in event.items() if k != "points"} | {"path": "rain.csv"}
    read = twin.run(make(np.full(48, 100.0), events=[event]), overrides={"links": links})
    np.testing.assert_allclose(column(read, "capacity_mbps")[:6], expected)


def test_an_upgrade_comes_at_its_time_or_when_the_load_calls_for_it() -> None:
    links = {"defaults": {"capacity_mbps": 110}}
    planned = {"kind": "upgrade", "start": "5min", "step": "0.05Gbit/s", "lead_time": "10min"}
    np.testing.assert_allclose(
        column(replay(planned, links=links), "capacity_mbps")[:5], [110, 110, 110, 160, 160]
    )
    called = {"kind": "upgrade", "start": "0s", "step": 20, "at": "80%", "of": "max",
              "over": "10min", "every": "5min", "lead_time": "10min", "price": 7}  # fmt: skip
    result = replay(called, links=links)
    # 100 > 0.8 x 110 at the first tick; 100 < 0.8 x 130 from then on.
    np.testing.assert_allclose(column(result, "capacity_mbps")[:4], [110, 110, 110, 130])
    assert (column(result, "capacity_mbps")[4:] == 130).all()
    log = result.events.query("phase == 'order'")
    assert log["time_s"].tolist() == [300]
    assert log["detail"].tolist() == ["+20 Mbit/s each, ordered for 7"]


def test_what_outages_lost_comes_back_and_no_more(network: Any) -> None:
    failure = {"kind": "link_failure", "links": ["c>d"], "start": "5min", "duration": "10min"}
    storm = {"kind": "retry_storm", "start": "0s", "factor": 0.5, "half_life": "5min"}
    plain, result = network(failure), network(failure, storm)
    back = column(result, link="c>d") - column(plain, link="c>d")
    # 50 Mbit/s for 600 s are lost; half of it comes back, and half of that in each half-life.
    lost = 50 * 600
    expected = [0, 0, 0, *(lost * 0.5 * 2.0**-k / 300 for k in range(1, 22))]
    np.testing.assert_allclose(back, expected[:REPLAYED], rtol=1e-5, atol=1e-3)
    alone = replay({"kind": "link_failure", "start": "5min", "duration": "10min"}, storm)
    assert (column(alone) - 100).sum() * 300 == pytest.approx(100 * 600 / 2, rel=1e-5)


def test_links_have_backups_where_there_is_no_topology(make: Any) -> None:
    backup = {
        "link-1": {"link-2": "60%", "link-3": "30%"},
        "link-2": {"link-3": "50%", "link-1": "50%"},
    }
    events = [
        {"kind": "link_failure", "links": ["link-1"], "start": "5min", "duration": "10min"},
        {"kind": "link_failure", "links": ["link-2"], "start": "10min", "duration": "5min"},
    ]
    demand = np.full((48, 3), 100.0)
    result = twin.run(make(demand, backup=backup, events=events))
    one, two, three = loads(result, "link-1", "link-2", "link-3")
    np.testing.assert_allclose(one[:4], [100, 0, 0, 100])
    np.testing.assert_allclose(two[:4], [100, 160, 0, 100])
    # With x of link-1's and y of link-2's that come to link-3: x = 0.3 + 0.6 y, y = 0.5 + 0.5 x.
    x = (0.3 + 0.6 * 0.5) / (1 - 0.6 * 0.5)
    y = 0.5 + 0.5 * x
    np.testing.assert_allclose(three[:4], [100, 130, 100 * (1 + x + y), 100])
    lost = result.recording.unrouted
    assert lost == pytest.approx(
        {"link-1": 100 * 300 * (0.1 + 1 - x), "link-2": 100 * 300 * (1 - y)}
    )


def test_every_kind_has_a_case_here() -> None:
    text = Path(__file__).read_text() + Path(__file__).with_name("test_network.py").read_text()
    text += Path(__file__).with_name("test_kinds_observed.py").read_text()
    text += (Path(__file__).parents[1] / "theory/test_closed_forms.py").read_text()
    for kind in event_kinds():
        assert f'"{kind}"' in text, f"{kind} has no case that was calculated by hand"


def test_the_page_of_events_is_whole(network: Any) -> None:
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    blocks = [yaml.safe_load(part) for part in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    shown = [event for block in blocks for event in block.get("events", ())]
    assert all(event_of(event) for event in shown)
    assert set(event_kinds()) == set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    for kind, spec in event_kinds().items():
        (row,) = re.findall(rf"^\| `{kind}` \|(.*)$", text, re.MULTILINE)
        told = row if kind not in FLOWS_KINDS else row + "`links` `sites` `from` `to`"
        for key, field in spec.model_fields.items():
            if key not in ("kind", "name", "start", "duration"):
                assert f"`{field.alias or key}" in told, (kind, key)


FLOWS_KINDS = ("surge", "growth", "ddos", "retry_storm")
