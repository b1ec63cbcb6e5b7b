"""How near matrices from counters are to the truth, by failures predicted, and how fast they are.

python tests/bench/matrices.py [NAME of topohub's SNDlib networks]...

Each network has 31 matrices with a daily cycle and noise around the demand that SNDlib publishes
for it, and as many made ones: gravity times log-normal factors of pairs. For each way to estimate,
the relative error of the loads after every single failure that cuts nobody off is printed, as
median and 90th percentile over all failures, links and ticks; then the time for 2,016 ticks.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from twin.demand.gravity import gravity, sums_by_site
from twin.demand.tomogravity import Counted, Estimator
from twin.routing.shortest_paths import ShortestPaths
from twin.topology.read import read_topology
from twin.topology.spec import TopologySpec

Floats = NDArray[np.float64]
MATRICES, TICKS = 31, 2_016


class Network:
    """A network of topohub, its published demand, and how every failure routes it."""

    def __init__(self, name: str) -> None:
        """Read `name`, such as ``abilene``."""
        self.topology = read_topology(TopologySpec(topohub=f"sndlib/{name}"), Path())
        sites = len(self.topology.sites)
        self.ends = np.array([(a, b) for a in range(sites) for b in range(sites) if a != b])
        names = self.topology.site_names
        routing = ShortestPaths(self.topology, [f"{names[a]}>{names[b]}" for a, b in self.ends])
        up = np.zeros(len(self.topology.links), dtype=np.bool_)
        self.shares = routing.matrix(up)
        circuit = np.array([link.circuit for link in self.topology.links])
        downs = [circuit == failure for failure in range(circuit.max() + 1)]
        self.failures = [routing.matrix(down) for down in downs if not routing.unrouted(down).any()]
        file = resources.files("topohub") / "data" / "sndlib" / f"{name}.json"
        stated = json.loads(file.read_text())["graph"]["demands"]
        table = np.zeros((sites, sites))
        for source, row in stated.items():
            for target, mbps in row.items():
                table[int(source), int(target)] = mbps
        self.published = table[self.ends[:, 0], self.ends[:, 1]]
        self.estimator = Estimator(self.shares, self.topology.ends, self.ends, sites)

    def matrices(self, ticks: int, made: bool) -> Floats:
        """Return demands around the published ones, or made ones, [ticks, flows]."""
        rng = np.random.default_rng(7)
        sites, (here, there) = len(self.topology.sites), self.ends.T
        entering, leaving = sums_by_site(self.published[None], self.ends, sites)
        mass = (entering + leaving)[0] + 1e-9
        mean = mass[here] * mass[there] * rng.lognormal(0, 0.8, len(here))
        late = rng.uniform(-0.1, 0.1, sites)
        day = 1.6 + np.sin(2 * np.pi * (np.arange(ticks)[:, None] / 288 + late))
        course = 0.3 * day[:, here] + 0.7 * day[:, there]
        noise = rng.lognormal(0, 0.15, (ticks, len(here)))
        return np.asarray((mean if made else self.published) * course * noise)

    def counted(self, x: Floats, *, totals: bool) -> Counted:
        """Return what counters say of demands [ticks, flows]."""
        sums = sums_by_site(x, self.ends, len(self.topology.sites))
        unknown = [np.full_like(each, np.nan) for each in sums]
        return Counted(np.asarray((self.shares @ x.T).T), *(sums if totals else unknown))

    def errors(self, x: Floats, estimate: Floats) -> str:
        """Return the error of the loads after all failures, in words."""
        missed = []
        for after in self.failures:
            truth, loads = (np.asarray(after @ each.T) for each in (x, estimate))
            some = truth > 0
            missed.append(np.abs(loads - truth)[some] / truth[some])
        every = 100 * np.concatenate(missed)
        return f"{np.median(every):6.2f} % {np.quantile(every, 0.9):6.1f} %"


def least_squares(network: Network, x: Floats, power: float = 1.0) -> Floats:
    """Return tomogravity as published: least squares weighted by the prior, none below 0.

    The variance of a demand is its prior to the `power`.
    """
    counted = network.counted(x, totals=True)
    matrix, rows = network.estimator.matrix().toarray(), np.hstack(counted)
    out = np.empty_like(x)
    prior = gravity(counted.entering, counted.leaving, network.ends)
    for tick, b in enumerate(rows):
        scale, sigma = 1 / np.sqrt(np.maximum(b, 1e-9)), np.sqrt(prior[tick] ** power)
        small = 1e-4
        tall = np.vstack([matrix * sigma * scale[:, None], small * np.eye(len(sigma))])
        of_prior = np.divide(prior[tick], sigma, out=np.zeros_like(sigma), where=sigma > 0)
        wanted = np.concatenate([b * scale, small * of_prior])
        out[tick] = nnls(tall, wanted, maxiter=50_000)[0] * sigma
    return out


def compare(network: Network, made: bool) -> None:
    """Print the errors of every way to estimate."""
    x = network.matrices(MATRICES, made)
    both, links = (network.counted(x, totals=totals) for totals in (True, False))
    known = network.estimator
    ways = {
        "gravity, totals of sites": known.estimate(both, fit_links=False),
        "least squares, variance as prior": least_squares(network, x),
        "least squares, as prior^1.5": least_squares(network, x, 1.5),
        "least squares, as prior^2": least_squares(network, x, 2.0),
        "entropy (tomogravity here)": known.estimate(both),
        "  without totals of sites": known.estimate(links),
    }
    print("made matrices" if made else "around the published matrix")
    for name, estimate in ways.items():
        print(f"  {name:34}{network.errors(x, estimate)}")


def main(names: list[str]) -> None:
    """Print errors and times."""
    for name in names:
        network = Network(name)
        print(f"{name}: {len(network.topology.sites)} sites, {len(network.topology.links)} links")
        for made in (False, True):
            compare(network, made)
        x = network.matrices(TICKS, made=True)
        for totals in (True, False):
            counted = network.counted(x, totals=totals)
            begin = time.perf_counter()
            estimate = network.estimator.estimate(counted)
            took = time.perf_counter() - begin
            loads = np.asarray((network.shares @ estimate.T).T)
            used = counted.links > 0
            missed = np.abs(loads / np.where(used, counted.links, 1) - 1)[used].max()
            with_or = "with" if totals else "without"
            print(f"{TICKS} ticks {with_or} totals: {took:.2f} s, loads missed by {missed:.1e}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["abilene", "geant", "nobel-eu"])
