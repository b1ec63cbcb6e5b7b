"""A matrix of demands over a network: loads by hand, failures, and what has no path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray

import twin
from twin.cli.main import call

Floats = NDArray[np.float64]
TICKS, REPLAYED = 60, 12
# A ring of three and a spur: a-b, b-c, a-c, c-d.
NET = "a,b,capacity_mbps,weight\na,b,1000,1\nb,c,1000,1\na,c,1000,3\nc,d,,1\n"
FLOWS = ("a>c", "b>d", "d>a")


def demands() -> Floats:
    """Return the demand of the three flows, Mbit/s, [ticks, flows]."""
    rng = np.random.default_rng(5)
    return rng.uniform(50, 200, (TICKS, len(FLOWS))).round(3)


def table(values: Floats, step: int = 300) -> pd.DataFrame:
    pairs = [flow.split(">") for flow in FLOWS]
    return pd.DataFrame(
        [
            {"time": i * step, "src": a, "dst": b, "demand": row[k]}
            for i, row in enumerate(values)
            for k, (a, b) in enumerate(pairs)
        ]
    )


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    (tmp_path / "net.csv").write_text(NET)
    table(demands()).to_csv(tmp_path / "tm.csv", index=False)
    return write(tmp_path, demand={"source": "matrix", "path": "tm.csv"})


def write(folder: Path, **keys: Any) -> Path:
    spec = {"topology": {"path": "net.csv"}, "policies": ["static_p95"]} | keys
    (folder / "s.yaml").write_text(yaml.safe_dump(spec))
    return folder / "s.yaml"


def loads(result: twin.Result) -> pd.DataFrame:
    """Return the demand of every link, [intervals, links]."""
    return result.intervals.pivot_table(index="interval", columns="link", values="demand_mbps")


def test_loads_are_what_the_paths_carry(scenario: Path) -> None:
    measured = loads(twin.run(scenario))
    ac, bd, da = demands()[-REPLAYED:].T
    expected = {
        "a>b": ac, "b>c": ac + bd, "c>d": bd, "d>c": da, "c>b": da, "b>a": da,
        "a>c": 0 * ac, "c>a": 0 * ac,
    }  # fmt: skip
    assert set(measured) == set(expected)
    for link, load in expected.items():
        np.testing.assert_allclose(measured[link], load, atol=1e-9)


def test_a_failure_moves_traffic_and_what_has_no_path_is_named(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [
        {"kind": "link_failure", "links": ["a>b", "b>a"], "start": "10min", "duration": "10min"},
        {"kind": "node_failure", "sites": "d", "start": "30min", "duration": "7min 30s"},
    ]
    measured = loads(twin.run(scenario, overrides={"events": events}))
    ac, bd, da = demands()[-REPLAYED:].T
    np.testing.assert_allclose(measured["a>c"][2:4], ac[2:4], atol=1e-9)
    np.testing.assert_allclose(measured["c>a"][2:4], da[2:4], atol=1e-9)
    assert (measured["a>b"][2:4] == 0).all()
    # Two flows have no path for an interval and a half.
    np.testing.assert_allclose(measured["c>d"][6:8], bd[6:8] * [0, 0.5], atol=1e-9)
    np.testing.assert_allclose(measured["b>c"][6:8], ac[6:8] + bd[6:8] * [0, 0.5], atol=1e-9)
    write(scenario.parent, demand={"source": "matrix", "path": "tm.csv"}, events=events)
    out = scenario.parent / "out"
    assert call(["run", str(scenario), "--out", str(out)]) == 0
    lost = {"b>d": bd[6] * 300 + bd[7] * 150, "d>a": da[6] * 300 + da[7] * 150}
    told = twin.load(out).manifest["unrouted_mbit"]
    assert told == pytest.approx(lost)
    said = f"Unrouted: {sum(lost.values()) / 1_000:.1f} Gbit had no path left"
    assert said in capsys.readouterr().out
    assert "had no path left" in (out / "report.html").read_text()


def test_links_that_share_a_duct_fail_together(scenario: Path) -> None:
    groups = {"duct": ["a>b", "b>a", "a>c", "c>a"]}
    event = {"kind": "srlg_failure", "groups": ["duct"], "start": "5min", "duration": "5min"}
    result = twin.run(scenario, overrides={"risk_groups": groups, "events": [event]})
    measured = loads(result)
    _, bd, da = demands()[-REPLAYED:].T
    np.testing.assert_allclose(measured["b>c"][1:2], bd[1:2], atol=1e-9)
    assert (measured["a>b"][1:2] == 0).all()
    assert (measured["d>c"][1:2] == 0).all()
    np.testing.assert_allclose(measured["d>c"][2:3], da[2:3], atol=1e-9)


def test_the_flows_of_a_link_are_those_of_the_instant(scenario: Path) -> None:
    event = {"kind": "link_failure", "links": ["b>c"], "start": "7min", "duration": "10min"}
    result = twin.run(scenario, overrides={"events": [event]})
    ac, bd, _ = demands()[-REPLAYED:].T
    before, during, after = (result.flows("b>c", at=at) for at in (0, "7min", "17min"))
    assert sorted(zip(before["flow"], before["path"], strict=True)) == [
        ("a>c", "a>b b>c"), ("b>d", "b>c c>d"),
    ]  # fmt: skip
    assert before["mbps"].tolist() == sorted([ac[0], bd[0]], reverse=True)
    assert during.empty
    assert (
        result.flows("a>c", "8min")["path"].tolist()
        == ["b>a a>c c>d", "a>c"][:: 1 if bd[1] > ac[1] else -1]
    )
    assert set(after["mbps"]) == {ac[3], bd[3]}
    with pytest.raises(twin.InputError, match="link: there is no link 'b>x'"):
        result.flows("b>x")
    with pytest.raises(twin.InputError, match="at: '1h' is not within the replay of 1h"):
        result.flows("b>c", "1h")


def test_what_begins_ends_and_passes_at_a_site(scenario: Path) -> None:
    event = {"kind": "link_failure", "links": ["c>d"], "start": "5min", "duration": "5min"}
    result = twin.run(scenario, overrides={"events": [event]})
    ac, bd, da = 300 * demands()[-REPLAYED:].sum(axis=0)
    lost = 300 * demands()[-REPLAYED + 1, 1]
    flows = result.flow_totals.set_index("flow")
    expected = {"a>c": (ac, ac, 0), "b>d": (bd, bd - lost, lost), "d>a": (da, da, 0)}
    for flow, row in expected.items():
        np.testing.assert_allclose(flows.loc[flow], row, atol=1e-6)
    sites = result.site_totals.set_index("site")
    through = {"a": (ac, da, 0, 0), "b": (bd - lost, 0, ac + da, lost),
               "c": (0, ac, bd - lost + da, 0), "d": (da, bd - lost, 0, 0)}  # fmt: skip
    for site, row in through.items():
        np.testing.assert_allclose(sites.loc[site], row, atol=1e-6)
    with pytest.raises(twin.InputError, match="baseline: has no demand from site to site"):
        _ = twin.run("baseline", policies=["static_p95"]).flow_totals


def test_a_surge_is_of_flows_and_takes_patterns(scenario: Path) -> None:
    event = {"kind": "surge", "links": "*>d", "start": "5min", "duration": "5min", "factor": 3}
    measured = loads(twin.run(scenario, overrides={"events": [event]}))
    _, bd, _ = demands()[-REPLAYED:].T
    np.testing.assert_allclose(measured["c>d"], bd * [1, 3, *[1] * 10], atol=1e-9)


def test_traffic_is_split_equally_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(NET.replace("a,c,1000,3", "a,c,1000,2"))
    table(demands()).to_csv(tmp_path / "tm.csv", index=False)
    path = write(tmp_path, demand={"source": "matrix", "path": "tm.csv"}, routing="ecmp")
    measured = loads(twin.run(path))
    ac, bd, _ = demands()[-REPLAYED:].T
    np.testing.assert_allclose(measured["a>c"], ac / 2, atol=1e-9)
    np.testing.assert_allclose(measured["b>c"], ac / 2 + bd, atol=1e-9)


def test_capacity_is_the_topologys_unless_the_scenario_states_another(scenario: Path) -> None:
    links = {"defaults": {"capacity_mbps": 70}, "a>b": {"capacity_mbps": 60}}
    capacity = twin.run(scenario, overrides={"links": links}).intervals.groupby("link")
    stated = capacity["capacity_mbps"].first()
    assert (stated["a>b"], stated["b>c"], stated["c>d"]) == (60, 1000, 70)


XML = (
    '<?xml version="1.0"?>\n<network xmlns="http://sndlib.zib.de/network"><meta>'
    "<time>{time}</time><unit>{unit}</unit></meta><demands>{demands}</demands></network>"
)


@pytest.mark.parametrize("unit", ["MBITPERSEC", "KBITPERSEC"])
def test_a_folder_of_sndlib_matrices_is_the_same_demand(
    scenario: Path, tmp_path: Path, unit: str
) -> None:
    scale = {"MBITPERSEC": 1, "KBITPERSEC": 1_000}[unit]
    folder = tmp_path / "matrices"
    folder.mkdir()
    times = pd.date_range("2004-03-01", periods=TICKS, freq="5min")
    for time, row in zip(times, demands(), strict=True):
        parts = [
            f'<demand id="{flow}"><source>{flow[0]}</source><target>{flow[2]}</target>'
            f"<demandValue>{value * scale:.6f}</demandValue></demand>"
            for flow, value in zip(FLOWS, row, strict=True)
        ]
        text = XML.format(time=time.strftime("%Y-%m-%d %H-%M"), unit=unit, demands="".join(parts))
        (folder / f"demandMatrix-{time:%Y%m%d-%H%M}.xml").write_text(text)
    few = write(tmp_path, demand={"source": "matrix", "path": "matrices", "max_values": 5})
    with pytest.raises(twin.InputError, match="holds more than 5 values with those before; raise"):
        twin.Scenario.load(few)
    write(tmp_path, demand={"source": "matrix", "path": "tm.csv"})
    as_table = loads(twin.run(scenario))
    demand = {"source": "matrix", "path": "matrices"}
    result = twin.run(write(tmp_path, demand=demand))
    np.testing.assert_allclose(loads(result), as_table, atol=1e-9)
    assert result.scenario.trace.starts == times[0]


def test_pairs_that_a_matrix_leaves_out_carry_nothing(scenario: Path, tmp_path: Path) -> None:
    rows = table(demands())
    inside = pd.DataFrame([{"time": 0, "src": "a", "dst": "a", "demand": 5.0}])
    rows = pd.concat([inside, rows[(rows["src"] != "b") | (rows["time"] % 600 == 0)]])
    rows.to_parquet(tmp_path / "tm.parquet", index=False)
    result = twin.run(write(tmp_path, demand={"source": "matrix", "path": "tm.parquet"}))
    _, bd, _ = demands()[-REPLAYED:].T
    np.testing.assert_allclose(loads(result)["c>d"], bd * ([1, 0] * 6), atol=1e-9)
    assert result.scenario.trace.repairs == (
        "1 demand from a site to itself left out: no link carries it",
        f"{TICKS // 2} demands not stated while others are: 0",
    )


REFUSED = {
    "no topology": ({"topology": None}, "'source: matrix' needs a 'topology' to route it over"),
    "routing of links": (
        {"demand": {"source": "csv", "path": "tm.csv"}, "routing": "ecmp"},
        "'routing' belongs to 'source: matrix'",
    ),
    "an unknown site": (
        {"topology": {"links": [{"a": "a", "b": "b"}, {"a": "b", "b": "c"}]}},
        "s.yaml:1: demand: the topology has no site 'd', where demand comes from or goes to",
    ),
    "a site of an event": (
        {"events": [{"kind": "node_failure", "sites": ["e"], "start": "0h"}]},
        "events.0.sites: there is no site 'e'; there are: a, b, c, d",
    ),
    "a group of an event": (
        {"events": [{"kind": "srlg_failure", "groups": ["duct"], "start": "0h"}]},
        "events.0.groups: there is no risk group 'duct'; state 'risk_groups'",
    ),
    "a link of a group": (
        {"risk_groups": {"duct": ["a>d"]}},
        "risk_groups.duct: no link 'a>d'; did you mean",
    ),
    "a column": (
        {"demand": {"source": "matrix", "path": "tm.csv", "columns": {"dst": "to"}}},
        "tm.csv:1: no column 'to' among time, src, dst, demand",
    ),
    "a column of a trace": (
        {"demand": {"source": "matrix", "path": "tm.csv", "columns": {"link": "l"}}},
        "'columns' has 'link', which 'source: matrix' has not",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_has_its_place(what: str, scenario: Path) -> None:
    keys, said = REFUSED[what]
    given = {"demand": {"source": "matrix", "path": "tm.csv"}} | keys
    path = write(scenario.parent, **given)
    with pytest.raises(twin.InputError) as raised:
        twin.Scenario.load(path)
    assert said in str(raised.value)


def test_sites_need_a_topology() -> None:
    events = [{"kind": "node_failure", "sites": ["x"], "start": "0h"}]
    with pytest.raises(twin.InputError, match="needs a 'topology' to know the site 'x'"):
        twin.run("baseline", overrides={"events": events})


def test_a_trace_of_links_has_the_capacities_of_its_topology(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(NET)
    rng = np.random.default_rng(2)
    trace = pd.DataFrame({"time": 300 * np.arange(40), "a>b": rng.uniform(10, 20, 40)})
    trace.to_csv(tmp_path / "t.csv", index=False)
    demand = {"source": "csv", "path": "t.csv", "layout": "wide"}
    assert (twin.run(write(tmp_path, demand=demand)).intervals["capacity_mbps"] == 1000).all()
    trace.rename(columns={"a>b": "a>d"}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(twin.InputError, match="the topology has no link 'a>d'; did you mean"):
        twin.Scenario.load(tmp_path / "s.yaml")
