"""The generated matrix: scaled to its links, by names, and as varied as real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import twin
from twin.demand.generated_matrix import PlacedSite, generate

SITES = [PlacedSite("west", 2.0, -60.0, 10.0), PlacedSite("mid", 1.0, 0.0, 10.0),
         PlacedSite("east", 1.0, 60.0, 10.0)]  # fmt: skip
PAIRS = np.array([(a, b) for a in range(3) for b in range(3) if a != b])
WEEK = 7 * 288
LINKS = [{"a": "a", "b": "b", "capacity_mbps": 1000}, {"a": "b", "b": "c", "capacity_mbps": 4000}]


def load(tmp_path: Path, **keys: Any) -> twin.Scenario:
    spec = {
        "demand": {"length": "3d"}, "topology": {"links": LINKS}, "policies": ["static_p95"],
    } | keys  # fmt: skip
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(spec))
    return twin.Scenario.load(tmp_path / "s.yaml")


def most_used(scenario: twin.Scenario) -> float:
    """Return the highest load of any link over its capacity."""
    assert scenario.routing is not None
    assert scenario.topology is not None
    shares = scenario.routing.matrix(np.zeros(len(scenario.links), dtype=np.bool_))
    loads = (shares @ scenario.trace.demand_mbps.T).T
    return float((loads.max(axis=0) / scenario.topology.capacities).max())


def test_the_busiest_link_is_as_busy_as_stated(tmp_path: Path) -> None:
    assert most_used(load(tmp_path)) == pytest.approx(0.6)
    demand = {"length": "3d", "busiest": 0.9}
    assert most_used(load(tmp_path, demand=demand)) == pytest.approx(0.9)


def test_without_capacities_a_demand_is_100_mbps_on_average(tmp_path: Path) -> None:
    links = [{"a": "a", "b": "b"}, {"a": "b", "b": "c"}]
    trace = load(tmp_path, topology={"links": links}).trace
    assert trace.demand_mbps.mean() == pytest.approx(100)
    with pytest.raises(twin.InputError, match="busiest: needs a link with a capacity, and with"):
        load(tmp_path, topology={"links": links}, demand={"length": "3d", "busiest": 0.5})


def test_it_is_of_every_site_to_every_other_that_it_reaches(tmp_path: Path) -> None:
    assert load(tmp_path).trace.links == ("a>b", "a>c", "b>a", "b>c", "c>a", "c>b")
    topology = {"links": LINKS, "directed": True}
    assert load(tmp_path, topology=topology).trace.links == ("a>b", "a>c", "b>c")


def test_a_seed_repeats_it_and_another_does_not(tmp_path: Path) -> None:
    ours, again, other = (load(tmp_path, seed=seed).trace for seed in (4, 4, 5))
    np.testing.assert_array_equal(ours.demand_mbps, again.demand_mbps)
    assert ours.digest == again.digest != other.digest
    assert not np.allclose(ours.demand_mbps, other.demand_mbps)


def test_another_site_changes_a_demand_by_little_but_scale() -> None:
    # At the mean of the others, so that midnight stays where it is.
    more = [*SITES, PlacedSite("island", 0.5, 0.0, -20.0)]
    alone, beside = (generate(3, sites, PAIRS, WEEK, 300) for sites in (SITES, more))
    ratio = beside / alone
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=2e-3)


def test_days_are_later_in_the_west() -> None:
    x = generate(1, SITES, PAIRS, WEEK, 300)
    lag = {}
    for name, pair in (("west", (1, 0)), ("east", (1, 2))):
        series = x[:, (pair == PAIRS).all(axis=1)][:, 0]
        lag[name] = np.angle(np.fft.rfft(series)[7]) / (2 * np.pi) * 24
    # Both are sent from the middle; the day of the receiver counts for 0.7 of 4 h each way.
    later = (lag["east"] - lag["west"]) % 24
    assert 4 < later < 8


def test_noise_is_less_on_large_demands_and_shared_at_sites() -> None:
    sites = [PlacedSite(f"s{i}", 10.0 ** (i % 3)) for i in range(8)]
    pairs = np.array([(a, b) for a in range(8) for b in range(8) if a != b])
    x = generate(2, sites, pairs, WEEK, 300)
    steps = np.diff(np.log(x), axis=0)
    rough, size = steps.std(axis=0), x.mean(axis=0)
    assert np.corrcoef(np.log(size), np.log(rough))[0, 1] < -0.5
    together = np.corrcoef(steps.T)
    same = pairs[:, 0][:, None] == pairs[:, 0]
    off = ~np.eye(len(pairs), dtype=bool)
    apart = ~same & (pairs[:, 1][:, None] != pairs[:, 1])
    assert together[same & off].mean() > 0.15 > abs(together[apart & off].mean())


REFUSED = {
    "facilities": (
        {"demand": {"facilities": 3}},
        "'demand.facilities' are links alone; the 'topology' has its own",
    ),
    "busiest of links alone": (
        {"demand": {"busiest": 0.5}, "topology": None},
        "'demand.busiest' is of a matrix generated over a 'topology'",
    ),
    "too long": (
        {
            "demand": {"length": "36000d"},
            "topology": {"links": [{"a": "hub", "b": b} for b in "bcdef"]},
        },
        "demand.length: 30 demands of 10368000 samples are too much to generate; make it shorter",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_generated_is_refused(what: str, tmp_path: Path) -> None:
    keys, said = REFUSED[what]
    with pytest.raises(twin.InputError) as raised:
        load(tmp_path, **keys)
    assert said in str(raised.value)


def test_a_replication_has_a_matrix_of_its_own(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "sweep.yaml").write_text("scenario: s.yaml\nreplications: 2\n")
    runs = twin.batch(tmp_path / "sweep.yaml", out=tmp_path / "out").runs
    assert (runs["status"] == "done").all()
    for row in runs.to_dict("records"):
        alone = twin.run(tmp_path / "s.yaml", seed=int(row["seed"])).summary
        pooled = alone[alone["link"] == "all"].iloc[0]
        assert row["unmet_mbit"] == pooled["unmet_mbit"]
    assert runs["unmet_mbit"].nunique() == 2
