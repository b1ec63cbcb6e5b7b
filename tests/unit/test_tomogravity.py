"""Matrices from counters: against iterative proportional fitting, closed forms, and the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from twin.demand.gravity import gravity, sums_by_site
from twin.demand.tomogravity import Counted, Estimator, System
from twin.routing.shortest_paths import ShortestPaths
from twin.topology.topology import DirectedLink, Site, Topology

Floats = NDArray[np.float64]
SITES = 6
PAIRS = np.array([(a, b) for a in range(SITES) for b in range(SITES) if a != b])
# A ring with two chords, and weights of which no two paths have the same sum.
EDGES = [(0, 1, 1.0), (1, 2, 1.17), (2, 3, 1.31), (3, 4, 1.07), (4, 5, 1.23), (5, 0, 1.41),
         (0, 3, 2.03), (1, 4, 2.11)]  # fmt: skip


def network(split: bool = False) -> tuple[Topology, ShortestPaths]:
    names = [f"s{i}" for i in range(SITES)]
    links = [
        DirectedLink(f"{names[a]}>{names[b]}", names[a], names[b], weight=w, circuit=circuit)
        for circuit, (a, b, w) in enumerate(EDGES)
        for a, b in ((a, b), (b, a))
    ]
    topology = Topology(tuple(Site(name) for name in names), tuple(links))
    flows = [f"s{a}>s{b}" for a, b in PAIRS.tolist()]
    return topology, ShortestPaths(topology, flows, split=split)


def up(topology: Topology) -> NDArray[np.bool_]:
    return np.zeros(len(topology.links), dtype=np.bool_)


def estimator(split: bool = False) -> Estimator:
    topology, routing = network(split)
    return Estimator(routing.matrix(up(topology)), topology.ends, PAIRS, SITES)


def demands(ticks: int = 25, seed: int = 3) -> Floats:
    rng = np.random.default_rng(seed)
    mass = rng.gamma(2, 1, SITES)
    factor = rng.lognormal(0, 0.8, len(PAIRS))
    return mass[PAIRS[:, 0]] * mass[PAIRS[:, 1]] * factor * rng.lognormal(0, 0.3, (ticks, 1)) * 90


def counted(x: Floats, known: Estimator) -> Counted:
    return Counted(np.asarray((known.shares @ x.T).T), *sums_by_site(x, PAIRS, SITES))


def without_totals(x: Floats, known: Estimator) -> Counted:
    unknown = np.full((len(x), SITES), np.nan)
    return counted(x, known)._replace(entering=unknown, leaving=unknown)


def test_the_gravity_model_of_all_pairs_is_a_product_over_the_total() -> None:
    rng = np.random.default_rng(1)
    ends = np.stack(np.meshgrid(range(4), range(4), indexing="ij"), axis=-1).reshape(-1, 2)
    entering = rng.uniform(1, 9, (3, 4))
    leaving = rng.permuted(entering, axis=1)
    expected = np.einsum("ti,tj->tij", entering, leaving) / entering.sum(axis=1)[:, None, None]
    np.testing.assert_allclose(gravity(entering, leaving, ends), expected.reshape(3, 16))


def test_the_gravity_model_has_the_sums_that_it_is_given_without_self_traffic() -> None:
    x = demands()
    entering, leaving = sums_by_site(x, PAIRS, SITES)
    model = gravity(entering, leaving, PAIRS)
    for sums, expected in zip(sums_by_site(model, PAIRS, SITES), (entering, leaving), strict=True):
        np.testing.assert_allclose(sums, expected, rtol=1e-9)
    # It is a product of a factor of the source and one of the target.
    table = np.ones((SITES, SITES))
    table[PAIRS[:, 0], PAIRS[:, 1]] = model[0]
    assert table[0, 2] * table[1, 3] == pytest.approx(table[0, 3] * table[1, 2])


def test_what_cannot_have_its_sums_meets_those_that_leave() -> None:
    # One site sends more than all others take.
    entering, leaving = np.array([[90.0, 5, 5]]), np.array([[80.0, 10, 10]])
    ends = np.array([(a, b) for a in range(3) for b in range(3) if a != b])
    model = gravity(entering, leaving, ends)
    assert np.isfinite(model).all()
    np.testing.assert_allclose(sums_by_site(model, ends, 3)[1], leaving)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("make", [counted, without_totals])
def test_what_was_counted_is_reproduced(make, split: bool) -> None:
    known = estimator(split)
    x = demands()
    estimate = known.estimate(make(x, known))
    assert (estimate >= 0).all()
    expected, loads = ((known.shares @ each.T).T for each in (x, estimate))
    np.testing.assert_allclose(loads, expected, rtol=1e-6)


def test_it_is_where_iterative_proportional_fitting_ends() -> None:
    known = estimator()
    b = counted(demands(3), known)
    matrix, rows = known.matrix().toarray(), np.hstack(b)
    for tick, x in enumerate(known.estimate(b)):
        fitted = gravity(b.entering, b.leaving, PAIRS)[tick]
        for _ in range(4_000):
            for row, wanted in zip(matrix, rows[tick], strict=True):
                fitted = np.where(row > 0, fitted * wanted / (row @ fitted), fitted)
        np.testing.assert_allclose(x, fitted, rtol=1e-4)


def test_what_the_equations_determine_is_exact() -> None:
    # Three sites with a link from each to each, but for 0 to 2, which goes over 1.
    links = np.array([(0, 1), (1, 2), (1, 0), (2, 0), (2, 1)])
    ends = np.array([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)])
    shares = sparse.csr_array(np.array([np.all(ends == link, axis=1) for link in links], float))
    shares = sparse.csr_array(shares + np.outer([1, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0]))
    known = Estimator(shares, links, ends, 3)
    x = np.random.default_rng(2).uniform(5, 50, (4, 6))
    both = Counted(np.asarray((shares @ x.T).T), *sums_by_site(x, ends, 3))
    np.testing.assert_allclose(known.estimate(both), x, rtol=1e-5)
    assert System(known.matrix()).left_open(x[0]) == (6, pytest.approx(0, abs=1e-9))
    # Links alone leave (1, -1, 1) of 0>1, 0>2 and 1>2 open: one of six directions.
    assert System(shares).left_open(np.ones(6)) == (5, pytest.approx(1 / 6))


def test_it_is_nearer_to_the_truth_than_a_gravity_model_and_totals_help() -> None:
    topology, routing = network()
    known = estimator()
    x = demands(40)
    estimates = {
        "gravity": known.estimate(counted(x, known), fit_links=False),
        "without totals": known.estimate(without_totals(x, known)),
        "tomogravity": known.estimate(counted(x, known)),
    }
    circuit = np.array([link.circuit for link in topology.links])
    worst = {name: [] for name in estimates}
    for failure in range(len(EDGES)):
        after = routing.matrix(circuit == failure)
        for name, estimate in estimates.items():
            truth = after @ x.T
            worst[name].append((np.abs(after @ estimate.T - truth)[truth > 0]) / truth[truth > 0])
    tail = {name: np.quantile(np.concatenate(each), 0.9) for name, each in worst.items()}
    assert tail["tomogravity"] < tail["without totals"] < tail["gravity"]
    assert tail["tomogravity"] < 0.75 * tail["gravity"]


def test_a_counter_that_is_missing_follows_from_the_others() -> None:
    known = estimator()
    x = demands()
    whole = counted(x, known)
    links = whole.links.copy()
    links[::3, 4] = np.nan
    estimate = known.estimate(whole._replace(links=links))
    # What enters a site leaves it: totals and all other links fix the load of this one.
    np.testing.assert_allclose((known.shares @ estimate.T).T, whole.links, rtol=1e-5)
    np.testing.assert_array_equal(estimate[1::3], known.estimate(whole)[1::3])


def test_a_tick_follows_from_its_own_counters_alone() -> None:
    known = estimator()
    x = demands()
    later = x.copy()
    later[13:] *= 7
    both = [known.estimate(without_totals(each, known)) for each in (x, later)]
    np.testing.assert_allclose(both[0][:13], both[1][:13], rtol=1e-9)


def test_the_unit_does_not_matter() -> None:
    known = estimator()
    x = demands()
    np.testing.assert_allclose(
        known.estimate(counted(1e6 * x, known)), 1e6 * known.estimate(counted(x, known)), rtol=1e-6
    )


def test_counters_that_do_not_fit_each_other_are_met_as_nearly_as_they_can_be() -> None:
    known = estimator()
    x = demands()
    rng = np.random.default_rng(8)
    noisy = Counted(*(each * rng.normal(1, 0.02, each.shape) for each in counted(x, known)))
    matrix = known.matrix()
    missed = (matrix @ known.estimate(noisy).T).T / np.hstack(noisy) - 1
    # The nearest of all matrices, with variances as counters have them, by another method.
    rows = np.hstack(noisy)
    from scipy.optimize import nnls

    for tick in range(0, len(x), 8):
        scale = 1 / np.sqrt(rows[tick])
        _, least = nnls(matrix.toarray() * scale[:, None], rows[tick] * scale)
        ours = np.sqrt((missed[tick] ** 2 * rows[tick]).sum())
        assert ours == pytest.approx(least, rel=1e-3)


def test_a_link_that_carries_nothing_empties_its_demands() -> None:
    known = estimator()
    x = demands()
    x[:, known.shares.toarray()[5] > 0] = 0
    estimate = known.estimate(counted(x, known))
    assert (estimate[:, known.shares.toarray()[5] > 0] == 0).all()
    np.testing.assert_allclose(
        (known.shares @ estimate.T).T, (known.shares @ x.T).T, rtol=1e-6, atol=1e-9
    )
