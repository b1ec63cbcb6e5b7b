"""What-ifs from counters alone: loads as counted, failures as with the true matrix, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray

import twin

Floats = NDArray[np.float64]
TICKS = 60
# A ring of five with one chord; weights leave one shortest path to each.
NET = "a,b,weight\na,b,1\nb,c,1.2\nc,d,1.1\nd,e,1.3\ne,a,1.4\nb,d,1.9\n"
SITES = "abcde"
FLOWS = [f"{a}>{b}" for a in SITES for b in SITES if a != b]
COUNTERS = {"source": "csv", "path": "counters.csv", "layout": "wide"}
TOTALS = {"estimate": "tomogravity", "sites": "sites.csv"}


def demands(ticks: int = TICKS) -> Floats:
    """Return the true demand of all flows, Mbit/s, [ticks, flows]."""
    rng = np.random.default_rng(5)
    mean = rng.gamma(2, 40, len(FLOWS))
    return mean * rng.lognormal(0, 0.2, (ticks, len(FLOWS)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the true matrix, and with what counters say of it."""
    (tmp_path / "net.csv").write_text(NET)
    x = demands()
    time = 300 * np.arange(TICKS)
    matrix = pd.DataFrame(x, columns=FLOWS).assign(time=time).melt("time", value_name="demand")
    matrix[["src", "dst"]] = matrix.pop("variable").str.split(">", expand=True)
    matrix.to_csv(tmp_path / "tm.csv", index=False)
    shares = twin.Scenario.load(write(tmp_path, {"source": "matrix", "path": "tm.csv"})).routing
    assert shares is not None
    loads = x @ shares.matrix(np.zeros(len(shares.links), dtype=np.bool_)).T
    counters = pd.DataFrame(loads, columns=list(shares.links))
    counters.assign(time=time).to_csv(tmp_path / "counters.csv", index=False)
    sites = [
        pd.DataFrame(
            {
                "time": time,
                "site": site,
                "in": x[:, [flow[0] == site for flow in FLOWS]].sum(axis=1),
                "out": x[:, [flow[2] == site for flow in FLOWS]].sum(axis=1),
            }
        )
        for site in SITES
    ]
    pd.concat(sites).to_csv(tmp_path / "sites.csv", index=False)
    return tmp_path


def write(folder: Path, demand: dict[str, Any], **keys: Any) -> Path:
    spec = {"demand": demand, "topology": {"path": "net.csv"}, "policies": ["static_p95"]} | keys
    (folder / "s.yaml").write_text(yaml.safe_dump(spec))
    return folder / "s.yaml"


def loads(result: twin.Result) -> pd.DataFrame:
    return result.intervals.pivot_table(index="interval", columns="link", values="demand_mbps")


def estimate(folder: Path, matrix: dict[str, Any] = TOTALS, **keys: Any) -> twin.Trace:
    return twin.Scenario.load(write(folder, COUNTERS | {"matrix": matrix}, **keys)).trace


@pytest.mark.parametrize("routing", ["shortest_path", "ecmp"])
@pytest.mark.parametrize("sites", [True, False])
def test_a_run_has_the_loads_that_were_counted(folder: Path, sites: bool, routing: str) -> None:
    matrix = TOTALS if sites else {"estimate": "tomogravity"}
    result = twin.run(write(folder, COUNTERS | {"matrix": matrix}, routing=routing))
    counters = pd.read_csv(folder / "counters.csv").drop(columns="time")
    measured = loads(result)
    expected = counters[measured.columns].iloc[-len(measured) :].to_numpy()
    np.testing.assert_allclose(measured, expected, rtol=1e-6)
    assert result.scenario.trace.links == tuple(FLOWS)
    assert result.scenario.warnings == ()


def test_failures_are_nearer_to_the_truth_than_with_a_gravity_model(folder: Path) -> None:
    events = [{"kind": "link_failure", "links": ["b>c", "c>b"], "start": 0, "duration": "1h"}]
    events[0]["start"] = "0h"
    truth = loads(twin.run(write(folder, {"source": "matrix", "path": "tm.csv"}, events=events)))
    missed = {}
    for name in ("tomogravity", "gravity"):
        demand = COUNTERS | {"matrix": TOTALS | {"estimate": name}}
        missed[name] = (loads(twin.run(write(folder, demand, events=events))) - truth).abs()
    totals = {name: each.to_numpy().sum() for name, each in missed.items()}
    assert totals["tomogravity"] < totals["gravity"] / 2
    assert totals["tomogravity"] < 0.1 * truth.to_numpy().sum()


def test_totals_of_sites_alone_make_a_gravity_model(folder: Path) -> None:
    demand = {"source": "matrix", "matrix": {"estimate": "gravity", "sites": "sites.csv"}}
    trace = twin.Scenario.load(write(folder, demand)).trace
    sums = pd.DataFrame(trace.demand_mbps, columns=FLOWS)
    expected = pd.read_csv(folder / "sites.csv").pivot_table("in", "time", "site").to_numpy()
    entering = np.stack([sums.filter(regex=f"^{site}").sum(axis=1) for site in SITES], axis=1)
    np.testing.assert_allclose(entering, expected, rtol=1e-9)
    # The scenario that a run writes beside its results says the same.
    result = twin.run(folder / "s.yaml")
    written = folder.parent / f"{folder.name}.yaml"
    written.write_text(result.resolved_scenario())
    np.testing.assert_array_equal(loads(twin.run(written)), loads(result))


def test_it_says_how_good_it_is(folder: Path) -> None:
    write(folder, COUNTERS | {"matrix": TOTALS})
    checked = twin.Scenario.load(folder / "s.yaml")
    notes = checked.trace.notes
    assert notes[0] == (
        "20 demands estimated by tomogravity from 12 link counters and what enters and leaves "
        "5 sites"
    )
    assert notes[1:3] == (
        "link loads are missed by less than 0.001 % at the median and less than 0.001 % at most",
        "totals of sites are missed by less than 0.001 % at the median and less than 0.001 % "
        "at most",
    )
    assert checked.routing is not None
    shares = checked.routing.matrix(np.zeros(12, dtype=np.bool_)).toarray()
    at_sites = [[flow[end] == site for flow in FLOWS] for end in (0, 2) for site in SITES]
    rank = np.linalg.matrix_rank(np.vstack([shares, at_sites]))
    assert notes[3].startswith(f"{rank} independent equations for 20 demands: ")
    coarse = estimate(folder, {"estimate": "tomogravity"}).notes
    assert coarse[-1] == "without what enters and leaves each site the estimate is coarser"
    shown = twin.run(folder / "s.yaml")
    shown.save(folder / "out")
    assert list(coarse) == twin.load(folder / "out").manifest["trace"]["notes"]
    assert "the estimate is coarser" in (folder / "out" / "report.html").read_text()


def test_counters_that_are_missing_leave_the_others(folder: Path) -> None:
    whole = estimate(folder).demand_mbps
    counters = pd.read_csv(folder / "counters.csv")
    counters.loc[10, "b>d"] = np.nan
    # Most of the counters, for a quarter of an hour: interpolated, once the far end is seen.
    counters.iloc[20:23, :9] = np.nan
    counters["time"] = 300 * np.arange(TICKS)
    counters.to_csv(folder / "counters.csv", index=False)
    trace = estimate(folder)
    np.testing.assert_allclose(trace.demand_mbps[10], whole[10], rtol=1e-2)
    np.testing.assert_array_equal(trace.demand_mbps[:10], whole[:10])
    assert np.isnan(trace.seen(22).demand_mbps[20:22]).all()
    middle = (whole[19] + whole[23]) / 2
    np.testing.assert_allclose(trace.demand_mbps[21], middle, rtol=1e-9)
    assert trace.repairs == ("20 gaps of up to 1h (60 samples) interpolated",)
    assert trace.notes[-2:] == (
        "1 interval without some of the counters of links, estimated from the others",
        "3 intervals with too few counters, not estimated",
    )


def test_what_a_site_sends_to_itself_may_be_in_its_totals(folder: Path) -> None:
    totals = pd.read_csv(folder / "sites.csv")
    own = totals["site"].map({"a": 30.0, "b": 0, "c": 80, "d": 10, "e": 5})
    totals.assign(**{"in": totals["in"] + own, "out": totals["out"] + own}).to_csv(
        folder / "sites.csv", index=False
    )
    misled = estimate(folder)
    assert "totals of sites are missed" in misled.notes[2]
    told = estimate(folder, TOTALS | {"self_traffic": True})
    assert told.links == tuple(FLOWS)
    truth = demands()
    wrong = [np.abs(each.demand_mbps - truth).sum() for each in (told, misled)]
    assert wrong[0] < wrong[1]


def test_counters_that_do_not_fit_are_a_warning(folder: Path) -> None:
    counters = pd.read_csv(folder / "counters.csv")
    counters["b>d"] *= 1.3
    counters.to_csv(folder / "counters.csv", index=False)
    (warning,) = twin.Scenario.load(write(folder, COUNTERS | {"matrix": TOTALS})).warnings
    assert warning.startswith("the counters of links do not fit each other, or not the routing: ")
    assert "b>d" in warning


def test_dates_place_totals_among_counters(folder: Path) -> None:
    counters, totals = (pd.read_csv(folder / f"{name}.csv") for name in ("counters", "sites"))
    start = pd.Timestamp("2026-03-01")
    counters["time"] = start + pd.to_timedelta(counters["time"], unit="s")
    totals["time"] = start + pd.to_timedelta(totals["time"], unit="s")
    counters.to_csv(folder / "counters.csv", index=False)
    whole = estimate(folder)
    totals[totals["time"] >= start + pd.Timedelta("50min")].to_csv(
        folder / "sites.csv", index=False
    )
    part = estimate(folder)
    np.testing.assert_allclose(part.demand_mbps[10:], whole.demand_mbps[10:], rtol=1e-6)
    coarse = estimate(folder, {"estimate": "tomogravity"})
    np.testing.assert_allclose(part.demand_mbps[:10], coarse.demand_mbps[:10], rtol=1e-6)
    totals["time"] += pd.Timedelta("7min")
    totals.to_csv(folder / "sites.csv", index=False)
    with pytest.raises(twin.InputError, match="which is no tick of the counters of links"):
        estimate(folder)
    totals["time"] += pd.Timedelta("365D") - pd.Timedelta("7min")
    totals.to_csv(folder / "sites.csv", index=False)
    with pytest.raises(twin.InputError, match="has no time in common with the counters"):
        estimate(folder)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no topology": ({"topology": None}, "'demand.matrix' needs a 'topology' to route it over"),
    "a matrix of a matrix": (
        {"demand": {"source": "matrix", "path": "tm.csv", "matrix": TOTALS}},
        "s.yaml:1: demand: 'matrix' is estimated where none is read: remove it",
    ),
    "totals alone say nothing of links": (
        {"demand": {"source": "matrix", "matrix": TOTALS}},
        "from totals of sites alone there is 'estimate: gravity' only",
    ),
    "nothing to estimate from": (
        {"demand": {"source": "matrix", "matrix": {"estimate": "gravity"}}},
        "source 'matrix' needs a 'path'",
    ),
    "of the generated source": (
        {"demand": {"matrix": TOTALS}},
        "'matrix' is estimated from counters: name them, as 'source: csv'",
    ),
    "columns of no table": (
        {"demand": COUNTERS | {"matrix": {"estimate": "gravity", "columns": {"in": "x"}}}},
        "demand.matrix: 'columns' is about 'sites', which are not stated",
    ),
    "no such table": (
        {"demand": COUNTERS | {"matrix": TOTALS | {"sites": "site.csv"}}},
        "demand.matrix.sites: no such file: 'site.csv'; did you mean 'sites.csv'?",
    ),
    "a column": (
        {"demand": COUNTERS | {"matrix": TOTALS | {"columns": {"in": "enters"}}}},
        "sites.csv:1: no column 'enters' among time, site, in, out",
    ),
    "an unknown site": (
        {"topology": {"links": [{"a": a, "b": b} for a, b in ("ab", "bc", "cd")]}},
        "demand: the topology has no link 'd>e'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_has_its_place(what: str, folder: Path) -> None:
    keys, said = REFUSED[what]
    demand = keys.get("demand", COUNTERS | {"matrix": TOTALS})
    path = write(folder, demand, **{k: v for k, v in keys.items() if k != "demand"})
    with pytest.raises(twin.InputError) as raised:
        twin.Scenario.load(path)
    assert said in str(raised.value)


TABLES = {
    "an unknown site": (("0,a,", "0,ä,"), "sites.csv:2: site: the topology has no site 'ä'"),
    "no totals": (("", ""), "has no totals of site 'e'; write 0 where nothing enters"),
    "negative": (("0,a,", "0,a,-"), "sites.csv:2: in: -"),
    "exchanged": (
        ("site,in,out", "site,out,in"),
        "sites.csv: 'in' and 'out' are exchanged: loads of links fit them the other way round",
    ),
}


@pytest.mark.parametrize("what", TABLES)
def test_a_wrong_table_of_sites_has_its_line(what: str, folder: Path) -> None:
    (old, new), said = TABLES[what]
    text = (folder / "sites.csv").read_text()
    if what == "no totals":
        text = "\n".join(line for line in text.split("\n") if ",e," not in line)
    (folder / "sites.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(twin.InputError) as raised:
        estimate(folder)
    assert said in str(raised.value)
