"""The report of a run with a network: map, neighbours of failures, what falls short and why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import policy_file, sealed
from pages import read
from small_network import network

import twin
from twin.cli.report import report as report_folder
from twin.core.errors import InputError
from twin.report.run.findings import Findings, find
from twin.report.run.page import render, render_result
from twin.report.run.source import RunData

CUT = {
    "kind": "link_failure", "name": "cut", "links": ["A>C", "C>A"], "start": "1h 2min",
    "duration": "1h",
}  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> twin.Result:
    folder = tmp_path_factory.mktemp("ring")
    return twin.run(network(folder, events=[CUT]))


@pytest.fixture(scope="module")
def found(result: twin.Result) -> Findings:
    return find(RunData.of(result))


def test_the_page_has_a_map_that_needs_nothing_else(result: twin.Result) -> None:
    text = render_result(result)
    reader = read(text)
    assert all(address == "data:," for address in reader.addresses)
    assert len(reader.ids) == len(set(reader.ids))
    assert {"The network", "What failures did", "What falls short"} <= set(reader.words)
    assert text.count('class="link ') >= 10
    assert 'data-name="A&gt;C"' in text
    # Without the script it shows the failure: both directions are down.
    assert len(re.findall('class="link u[0-6] down"', text)) == 2


def test_a_folder_gives_the_same_page_as_the_result(result: twin.Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    assert (folder / "topology.json").is_file()
    assert render(RunData.read(folder)) == render_result(result)


def test_flows_and_sites_are_tables_of_the_folder(result: twin.Result, tmp_path: Path) -> None:
    saved = twin.load(result.save(tmp_path / "out", figures=False))
    assert {"flows.csv", "sites.csv"} <= set(saved.manifest["files"])
    pd.testing.assert_frame_equal(saved.flow_service, result.flow_service, rtol=1e-12)
    pd.testing.assert_frame_equal(saved.site_totals, result.site_totals, rtol=1e-12)
    # A row of each policy and flow, whatever the number of intervals.
    assert len(saved.flow_service) == 2 * 12
    assert len(saved.site_totals) == 4
    assert saved.flow_service["unserved_mbit"].max() > 0
    plain = twin.run({"policies": ["static_p95"], "replay": {"duration": "1h"}})
    plain = twin.load(plain.save(tmp_path / "plain", figures=False))
    with pytest.raises(InputError, match=r"holds no flows\.csv: the run had no demand from site"):
        _ = plain.flow_service


@pytest.mark.parametrize(
    ("damage", "says"),
    [("{", "cannot be read"), ('{"graph": {}}', "cannot be read"), ("[]", "cannot be read")],
)
def test_a_damaged_topology_is_refused(
    result: twin.Result, tmp_path: Path, damage: str, says: str
) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    (folder / "topology.json").write_text(damage)
    sealed(folder)
    with pytest.raises(InputError, match=f"topology.json: {says}"):
        report_folder(folder)


def test_what_the_map_shows_is_what_was_recorded(result: twin.Result, found: Findings) -> None:
    samples, table = found.aggregates.samples, result.intervals
    assert samples is not None
    for policy in found.run.policies:
        own = table[table["policy"] == policy]
        for i, link in enumerate(found.run.links):
            rows = own[own["link"] == link].set_index("interval")
            at = rows.loc[samples.instants]
            assert samples.demand[i] == pytest.approx(at["demand_mbps"].to_numpy())
            assert samples.allocated[policy][i] == pytest.approx(at["allocated_mbps"].to_numpy())
            ratio = np.where(
                rows["demand_mbps"] > 0, rows["demand_mbps"] / rows["allocated_mbps"], 0
            )
            assert samples.worst[policy].ratio[i] == pytest.approx(ratio.max())
            assert samples.worst[policy].interval[i] == ratio.argmax()


def test_neighbours_of_a_failure_are_those_whose_demand_rose(
    result: twin.Result, found: Findings
) -> None:
    table = result.intervals[result.intervals["policy"] == "static_p95"]
    demand = table.pivot_table(index="interval", columns="link", values="demand_mbps")
    # From 1 h 2 min, for an hour: intervals 12 to 24, and as many before.
    rise = demand.loc[12:24].mean() - demand.loc[0:11].mean()
    (failure,) = found.failures
    own = pd.Series(found.risen([failure])[:, 0], found.run.links)
    shortfall = found.aggregates.shortfall
    during = pd.Series(shortfall.during[:, failure], found.run.links)
    assert during.to_dict() == pytest.approx(demand.loc[12:24].mean().to_dict())
    for link in demand.columns:
        assert own[link] == pytest.approx(max(rise[link], 0), abs=1)
    # What went from A to C now goes round.
    assert own.idxmax() in {"A>B", "B>C", "C>D", "D>A", "A>D", "D>C", "C>B", "B>A"}
    assert own["A>C"] == 0
    words = " ".join(read(render_result(result)).words)
    assert f"demand rose most on {own.idxmax()}, by " in words


def test_a_failure_elsewhere_is_named_beside_what_it_violates(
    result: twin.Result, found: Findings
) -> None:
    table = result.intervals
    (failure,) = found.failures
    for policy in found.run.policies:
        causes = found.aggregates.shortfall.policies[policy].causes
        own = table[(table["policy"] == policy) & table["interval"].between(12, 24)]
        minutes = own.groupby("link")["violation_s"].sum() / 60
        for i, link in enumerate(found.run.links):
            noted = [cause for cause in causes.get(i, ()) if cause.span == failure]
            assert sum(c.minutes for c in noted) == pytest.approx(minutes[link])
            assert all(cause.own == (link in CUT["links"]) for cause in noted)
    assert re.search("min while A&gt;C, C&gt;A was down", render_result(result))


def test_the_report_opens_on_a_link_that_the_failure_made_short(found: Findings) -> None:
    assert found.focus in found.run.links
    beside = {
        found.run.links[i]
        for i, causes in found.aggregates.shortfall.policies[found.lead].causes.items()
        if causes
    }
    assert found.focus in (beside or {found.focus})
    assert found.focus not in CUT["links"]


@pytest.mark.parametrize("target", [0.0, 0.1])
def test_what_is_to_be_allocated_keeps_the_sla_and_nothing_less_does(
    tmp_path: Path, target: float
) -> None:
    # On ticks, so that no interval is cut.
    cut = CUT | {"start": "1h"}
    surge = {"kind": "surge", "links": ["B>*"], "start": "2h 5min", "duration": "50min",
             "factor": 1.7}  # fmt: skip
    blocks: dict[str, Any] = {"events": [cut, surge], "sla": {"target": target}}
    found = find(RunData.of(twin.run(network(tmp_path, **blocks))))
    needed = found.aggregates.shortfall.needed
    assert np.isfinite(needed).all()
    for name, levels, kept in (("enough", needed, True), ("less", needed * (1 - 1e-9), False)):
        policy_file(tmp_path, name, f"return np.array({levels.tolist()})")
        table = twin.run(network(tmp_path, **blocks, policies=[f"{name}.py"])).summary
        used = table[table["link"] != "all"]
        within = used["sla_used_intervals"] <= used["sla_allowed_intervals"]
        assert (within == kept).all()


def test_where_capacity_is_too_small_nothing_would_do(tmp_path: Path) -> None:
    path = network(tmp_path, links={"A>B": {"capacity_mbps": 5}})
    found = find(RunData.of(twin.run(path)))
    needed = dict(zip(found.run.links, found.aggregates.shortfall.needed, strict=True))
    assert needed["A>B"] == np.inf
    assert np.isfinite(needed["B>A"])


def test_totals_and_means_are_told_apart_and_no_paper_is_named(result: twin.Result) -> None:
    words = " ".join(read(render_result(result)).words)
    assert "min, sum over links" in words
    assert "Mbit/s, mean per link" in words
    assert "paper" not in words


def test_every_link_can_be_seen_over_time(result: twin.Result, found: Findings) -> None:
    assert set(found.aggregates.drawn) == set(found.run.links)
    text = render_result(result)
    options = re.search('<select id="link">(.*?)</select>', text)
    assert options is not None
    names = re.findall("<option[^>]*>(.*?)</option>", options[1])
    assert names[0].replace("&gt;", ">") == found.focus
    assert len(names) == len(found.run.links)
