"""The matrix of a scenario that has only counters: of links, of sites, or of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.errors import InputError, Problem
from twin.core.text import ARROW
from twin.core.units import counted, format_duration
from twin.demand.gaps import ArrayFeed
from twin.demand.gravity import sums_by_site
from twin.demand.matrix_spec import MatrixSpec
from twin.demand.repair import interpolate
from twin.demand.site_totals import WHERE, SiteTotals, read_site_totals
from twin.demand.tomogravity import Counted, Estimator, System
from twin.demand.trace import Trace
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.spec import ScenarioSpec
from twin.topology.topology import Topology

_FEWEST = 0.5
"""Share of the counters of links with which a tick is estimated."""
_DOUBTFUL = 0.01
"""Part of a link's load by which an estimate may miss it without a warning."""
_TINY = 1e-6
"""Part of the greatest load below which a link's load is left out of the account of misses."""
_EXCHANGED = 0.1
"""Misfit of totals once `in` and `out` are exchanged, over that before, that gives it away."""
_SMALL = 1e-5
"""Part of a counter below which it does not matter by how much it is missed."""
_SHOWN = 3


class _Input(NamedTuple):
    """What was counted, on one grid of ticks, and by what."""

    counted: Counted
    links: tuple[str, ...]
    starts: datetime | None
    repairs: tuple[str, ...]
    origin: str
    digests: tuple[str, ...]


def estimated(
    spec: ScenarioSpec, counters: Trace | None, topology: Topology, folder: Path
) -> Trace:
    """Return the demand of every flow of a scenario, estimated from counters.

    `counters` are those of links, by name as in the topology; None where there are totals of sites
    alone. Raises InputError.
    """
    matrix = spec.demand.matrix
    assert matrix is not None
    known = _input(spec, counters, topology, folder)
    estimator, flows = _estimator(spec, matrix, known, topology)
    fitted = matrix.estimate == "tomogravity"
    demand = estimator.estimate(known.counted, fit_links=fitted)
    missing = _missing(known.counted)
    demand[missing] = np.nan
    across = estimator.ends[:, 0] != estimator.ends[:, 1]
    values = np.ascontiguousarray(demand[:, across])
    filled, gaps, repairs = interpolate(values, spec.tick)
    links = len(topology.links)
    account = _Account(known, estimator, demand, ~missing, fitted=fitted, all_links=links)
    stated = (matrix.model_dump(exclude={"sites"}), spec.splits, topology.digest, known.digests)
    return Trace(
        flows,
        {"internet": filled},
        int(spec.tick),
        known.starts,
        known.origin,
        hashlib.sha256(json.dumps(stated).encode()).hexdigest(),
        (*known.repairs, *repairs),
        {"internet": gaps} if len(gaps) else {},
        notes=tuple(account.notes(matrix)),
        warnings=tuple(account.warnings()),
    )


# What was counted


def _input(spec: ScenarioSpec, counters: Trace | None, topology: Topology, folder: Path) -> _Input:
    matrix, names = spec.demand.matrix, topology.site_names
    assert matrix is not None
    totals = None
    if matrix.sites is not None:
        totals = read_site_totals(matrix, spec.demand, folder, int(spec.tick), names)
    if counters is None:
        assert totals is not None
        nothing = np.empty((len(totals.entering), 0))
        return _Input(
            Counted(nothing, totals.entering, totals.leaving), (), totals.starts, totals.repairs,
            totals.file.name, (totals.digest,),
        )  # fmt: skip
    # What a gap hides until its far end is seen must not show in the estimate before.
    loads = ArrayFeed(counters.kpis, counters.gaps).rows("internet", 0, counters.samples)
    repairs = tuple(each for each in counters.repairs if "interpolated" not in each)
    if totals is None:
        unknown = np.full((len(loads), len(names)), np.nan)
        return _Input(
            Counted(loads, unknown, unknown), counters.links, counters.starts, repairs,
            counters.origin, (counters.digest,),
        )  # fmt: skip
    first = _offset(counters, totals, spec.tick)
    on_grid = (_placed(each, first, len(loads)) for each in (totals.entering, totals.leaving))
    told = (f"{totals.file.name}: {each}" for each in totals.repairs)
    known = Counted(loads, *on_grid)
    _check_directions(known, counters.links, totals, topology)
    return _Input(
        known, counters.links, counters.starts, (*repairs, *told),
        f"{counters.origin} and {totals.file.name}", (counters.digest, totals.digest),
    )  # fmt: skip


def _check_directions(
    known: Counted, links: Sequence[str], totals: SiteTotals, topology: Topology
) -> None:
    """Raise InputError where totals fit the loads of links only once `in` and `out` are exchanged.

    What enters a site, from outside or by its links, leaves it.
    """
    if set(links) != set(topology.link_names):
        return
    rows = [topology.link_names.index(link) for link in links]
    away, towards = sums_by_site(known.links, topology.ends[rows], len(topology.sites))
    added, net = known.entering - known.leaving, away - towards
    whole = ~np.isnan(added + net)
    as_stated, exchanged = (np.abs(each[whole]).sum() for each in (added - net, added + net))
    if as_stated > _DOUBTFUL * np.abs(net[whole]).sum() and exchanged < _EXCHANGED * as_stated:
        what = "'in' and 'out' are exchanged: loads of links fit them the other way round"
        remedy = "'in' is what enters the network; write 'columns: {in: out, out: in}'"
        raise InputError(Problem(what, "", totals.file, None, remedy))


def _offset(counters: Trace, totals: SiteTotals, tick_s: float) -> int:
    """Return the tick of the counters at which the totals begin. Raises InputError.

    Without dates both begin at the same time.
    """
    if totals.starts is None:
        return 0
    if counters.starts is None:
        what = f"'{totals.file.name}' has dates, and the counters of links have none"
        raise InputError(Problem(what, WHERE, suggestion="state 'demand.starts'"))
    if (totals.starts.tzinfo is None) != (counters.starts.tzinfo is None):
        what = f"only one of '{totals.file.name}' and the counters of links has times in UTC"
        raise InputError(Problem(what, WHERE, suggestion="write both with their offset"))
    after = (totals.starts - counters.starts).total_seconds()
    first, rest = divmod(after, tick_s)
    if rest:
        what = f"begins at {totals.starts.isoformat()}, which is no tick of the counters of links"
        remedy = f"begin it a multiple of {format_duration(tick_s)} from {counters.starts}"
        raise InputError(Problem(what, "", totals.file, None, remedy))
    if first >= counters.samples or first + len(totals.entering) <= 0:
        what = f"begins at {totals.starts.isoformat()}, and has no time in common with the counters"
        remedy = f"these begin at {counters.starts.isoformat()}"
        raise InputError(Problem(what, "", totals.file, None, remedy))
    return int(first)


def _placed(values: Floats, first: int, ticks: int) -> Floats:
    """Return `values` [ticks, sites] from tick `first` on, NaN before and after."""
    out = np.full((ticks, values.shape[1]), np.nan)
    begin, end = max(first, 0), min(first + len(values), ticks)
    out[begin:end] = values[begin - first : end - first]
    return out


def _missing(known: Counted) -> Bools:
    """Return at which ticks too little was counted, [ticks]."""
    if known.links.shape[1]:
        return np.asarray((~np.isnan(known.links)).mean(axis=1) < _FEWEST)
    return np.asarray(np.isnan(known.entering).any(axis=1) | np.isnan(known.leaving).any(axis=1))


# The equations


def _estimator(
    spec: ScenarioSpec, matrix: MatrixSpec, known: _Input, topology: Topology
) -> tuple[Estimator, tuple[str, ...]]:
    """Return the estimator, and the names of the flows that go from one site to another."""
    from scipy import sparse

    names, sites = topology.site_names, len(topology.sites)
    here, there = (each.ravel() for each in np.indices((sites, sites)))
    # Nothing goes from where nothing enters, nor to where nothing leaves.
    some = [~(each == 0).all(axis=0) for each in known.counted[1:]]
    wanted = some[0][here] & some[1][there] & (here != there)
    ends: Ints = np.stack([here[wanted], there[wanted]], axis=1)
    up = np.zeros(len(topology.links), dtype=np.bool_)
    split = spec.splits
    routable = ~ShortestPaths(topology, _flows(names, ends), split=split).unrouted(up)
    ends = ends[routable]
    flows = _flows(names, ends)
    if not flows:
        what = "leaves no demand from a site to another: nothing enters, or nothing leaves"
        raise InputError(Problem(what, WHERE))
    shares = ShortestPaths(topology, flows, split=split).matrix(up)
    rows = [topology.link_names.index(link) for link in known.links]
    shares = shares[rows]
    if matrix.self_traffic:
        own = np.flatnonzero(some[0] & some[1])
        ends = np.concatenate([ends, np.stack([own, own], axis=1)])
        shares = sparse.csr_array(sparse.hstack([shares, sparse.csr_array((len(rows), len(own)))]))
    return Estimator(shares, topology.ends[rows], ends, sites), flows


def _flows(names: tuple[str, ...], ends: Ints) -> tuple[str, ...]:
    return tuple(f"{names[a]}{ARROW}{names[b]}" for a, b in ends.tolist())


# How good it is


class _Account:
    """What an estimate leaves open, and what it misses."""

    def __init__(
        self,
        known: _Input,
        estimator: Estimator,
        demand: Floats,
        estimated: Bools,
        *,
        fitted: bool,
        all_links: int,
    ) -> None:
        """Take what was counted, and the demands that were estimated from it, [ticks, flows].

        `estimated` are the ticks that could be, `fitted` whether to the loads of links as well.
        """
        self._uncounted = all_links - len(known.links)
        values, links = np.hstack(known.counted)[estimated], len(known.links)
        self._known, self._links, self._fitted = known, links, fitted
        self._missing = int((~estimated).sum())
        self._partly = int(np.isnan(values[:, :links]).any(axis=1).sum())
        self._demands = len(estimator.ends)
        stated: Bools = np.asarray(~np.isnan(values).all(axis=0))
        matrix = estimator.matrix()
        system = System(matrix[np.flatnonzero(stated)])
        loads = np.full(values.shape, np.nan)
        loads[:, stated] = system.loads(demand[estimated])
        self._missed = self._relative(loads[:, :links], values[:, :links])
        self._at_sites = self._relative(loads[:, links:], values[:, links:])
        if not fitted:
            stated[:links] = False
        mean = demand[estimated].sum(axis=0) / max(len(values), 1)
        self._rank, self._open = System(matrix[np.flatnonzero(stated)]).left_open(mean)

    @staticmethod
    def _relative(loads: Floats, counted: Floats) -> Floats:
        """Return by which part of itself each counter is missed, NaN where it says little."""
        least = _TINY * np.nanmax(counted, initial=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(counted > least, np.abs(loads - counted) / counted, np.nan)

    def notes(self, matrix: MatrixSpec) -> Iterator[str]:
        """Yield how the matrix was estimated, a sentence each."""
        known = self._known
        sources = []
        if self._links:
            sources.append(counted(self._links, "link counter"))
        if matrix.sites is not None:
            sources.append(f"what enters and leaves {counted(known.counted[1].shape[1], 'site')}")
        model = "tomogravity" if self._fitted else "the gravity model"
        named = " and ".join(sources)
        yield f"{counted(self._demands, 'demand')} estimated by {model} from {named}"
        if self._links and self._uncounted:
            yield f"no counter of {counted(self._uncounted, 'link')} of the topology"
        if self._links:
            yield f"link loads are missed by {_spread(self._missed)}"
        if matrix.sites is not None and not np.isnan(self._at_sites).all():
            yield f"totals of sites are missed by {_spread(self._at_sites)}"
        if self._fitted or matrix.sites is not None:
            yield (
                f"{counted(self._rank, 'independent equation')} for "
                f"{counted(self._demands, 'demand')}: {100 * self._open:.0f} % of their variance "
                "around a gravity model is left open"
            )
        if matrix.sites is None:
            yield "without what enters and leaves each site the estimate is coarser"
        if self._partly:
            which = counted(self._partly, "interval")
            yield f"{which} without some of the counters of links, estimated from the others"
        if self._missing:
            yield f"{counted(self._missing, 'interval')} with too few counters, not estimated"

    def warnings(self) -> Iterator[str]:
        """Yield what makes the matrix doubtful, a sentence each."""
        if not self._fitted:
            return
        known = ~np.isnan(self._missed)
        sums = np.where(known, self._missed, 0.0).sum(axis=0)
        missed = sums / np.maximum(known.sum(axis=0), 1)
        worst = np.argsort(-missed, kind="stable")[:_SHOWN]
        named = [
            f"{self._known.links[link]} {100 * missed[link]:.1f} %"
            for link in worst.tolist()
            if missed[link] > _DOUBTFUL
        ]
        if named:
            yield (
                f"the counters of links do not fit each other, or not the routing: estimated loads "
                f"miss them on average by {', '.join(named)}"
            )


def _spread(missed: Floats) -> str:
    known = missed[~np.isnan(missed)]
    if not len(known):
        return "nothing: they are 0"
    median, most = (_percent(float(each)) for each in (np.median(known), known.max()))
    return f"{median} at the median and {most} at most"


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %" if part >= _SMALL else f"less than {100 * _SMALL:g} %"
