"""What the readers of topologies find, and how it becomes a topology: checked, with its line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from twin.core.errors import InputError, Loc, Problem, did_you_mean, show
from twin.core.text import ARROW
from twin.core.units import counted
from twin.topology.topology import DirectedLink, Site, Topology

UNLIMITED = ("inf", "unlimited")
"""What a file may write where a capacity is not limited."""


class Place(NamedTuple):
    """Where something is written."""

    file: Path | None = None
    line: int | Callable[[], int | None] | None = None
    """Looked up when a problem has to name it, where that takes long."""
    where: Loc = ()

    def problem(self, key: str, what: str, suggestion: str = "") -> Problem:
        """Return a problem of one of its keys, or of all of it."""
        where = (*self.where, key) if key else self.where
        line = self.line() if callable(self.line) else self.line
        return Problem(what, where, self.file, line, suggestion)


class SitePart(NamedTuple):
    """A site as a file has it; what it does not say is None."""

    name: str
    at: Place
    label: str = ""
    x: Any = None
    y: Any = None


class LinkPart(NamedTuple):
    """A connection as a file has it; what it does not say is None."""

    a: str
    b: str
    at: Place
    directed: bool = False
    capacity_mbps: Any = None
    weight: Any = None
    length_km: Any = None
    tags: tuple[str, ...] = ()


def topology_of(
    sites: Sequence[SitePart] | None,
    links: Sequence[LinkPart],
    *,
    origin: str = "",
    digest: str = "",
    file: Path | None = None,
    notes: Iterable[str] = (),
) -> Topology:
    """Return the topology that the parts make.

    Where a file lists no sites they are those at which its links end, in the order in which they
    appear. A connection that is not directed makes two links. Raises InputError with every part
    that cannot be used.
    """
    needs = "a network needs at least one"
    if not links:
        raise InputError(Problem("has no links", "", file, None, needs))
    if sites is None:
        first: dict[str, Place] = {}
        for link in links:
            first.setdefault(link.a, link.at)
            first.setdefault(link.b, link.at)
        sites = [SitePart(name, at) for name, at in first.items()]
    problems = [*_problems_of_sites(sites), *_problems_of_links(links, sites)]
    if problems:
        raise InputError(problems)
    kept = [link for link in links if link.a != link.b]
    if not kept:
        raise InputError(Problem("has no link from a site to another", "", file, None, needs))
    told = list(notes)
    if len(kept) < len(links):
        told.append(f"{counted(len(links) - len(kept), 'link')} from a site to itself left out")
    built = Topology(
        tuple(Site(site.name, site.label, _number(site.x), _number(site.y)) for site in sites),
        tuple(_directed(kept)),
        {},
        origin,
        digest,
    )
    return replace(built, notes=(*told, *_apart(built)))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _problems_of_sites(sites: Sequence[SitePart]) -> Iterator[Problem]:
    seen: set[str] = set()
    for site in sites:
        if not site.name:
            yield site.at.problem("", "a site has no name")
        elif ARROW in site.name:
            what = f"'{ARROW}' in the name of site '{site.name}' stands between the ends of a link"
            yield site.at.problem("", what, "rename it")
        elif site.name in seen:
            yield site.at.problem("", f"a second site is called '{site.name}'", "rename one")
        seen.add(site.name)
        for key, value in (("x", site.x), ("y", site.y)):
            if value is not None and _number(value) is None:
                yield site.at.problem(key, f"{show(value)} is not a number")


def _problems_of_links(links: Sequence[LinkPart], sites: Sequence[SitePart]) -> Iterator[Problem]:
    known = {site.name for site in sites}
    for link in links:
        for end in (link.a, link.b):
            if end not in known:
                hint = did_you_mean(end, sorted(known))
                yield link.at.problem("", f"no site '{end}'", hint or "list it among the sites")
        yield from _problems_of_numbers(link)


def _problems_of_numbers(link: LinkPart) -> Iterator[Problem]:
    named = f"link '{link.a}{ARROW}{link.b}'"
    for key in ("capacity_mbps", "weight", "length_km"):
        value = getattr(link, key)
        if value is None or (key == "capacity_mbps" and str(value).strip().lower() in UNLIMITED):
            continue
        number = _number(value)
        if number is None:
            yield link.at.problem(key, f"{show(value)} of {named} is not a number")
        elif number < 0 or (number == 0 and key != "length_km"):
            remedy = {
                "capacity_mbps": "leave it out where it is not limited, or leave the link out",
                "weight": "paths cost more than nothing; leave it out for a weight of 1",
            }.get(key, "a length is at least 0")
            yield link.at.problem(key, f"{show(value)} of {named} is not above 0", remedy)


def _directed(parts: Sequence[LinkPart]) -> Iterator[DirectedLink]:
    """Yield the links of the connections: a second one from A to B is called ``A>B#2``."""
    names: Counter[str] = Counter()
    for circuit, part in enumerate(_circuits(parts)):
        for a, b, one in part:
            name = f"{a}{ARROW}{b}"
            names[name] += 1
            unlimited = one.capacity_mbps is None or _number(one.capacity_mbps) is None
            weight, length = _number(one.weight), _number(one.length_km)
            yield DirectedLink(
                name if names[name] == 1 else f"{name}#{names[name]}",
                a,
                b,
                math.inf if unlimited else float(one.capacity_mbps),
                1.0 if weight is None else weight,
                length,
                circuit,
                one.tags,
            )


def _circuits(parts: Sequence[LinkPart]) -> Iterator[list[tuple[str, str, LinkPart]]]:
    """Yield the links of each circuit: two, or one where only one direction is there.

    A directed link and the next one back that has no partner yet are one circuit.
    """
    back: dict[tuple[str, str], list[int]] = {}
    circuits: list[list[tuple[str, str, LinkPart]]] = []
    for part in parts:
        if not part.directed:
            circuits.append([(part.a, part.b, part), (part.b, part.a, part)])
        elif waiting := back.get((part.b, part.a)):
            circuits[waiting.pop(0)].append((part.a, part.b, part))
        else:
            back.setdefault((part.a, part.b), []).append(len(circuits))
            circuits.append([(part.a, part.b, part)])
    yield from circuits


def _apart(topology: Topology) -> Iterator[str]:
    """Yield what is odd about how the sites hang together."""
    graph = topology.graph()
    alone = [name for name in topology.site_names if not graph.degree(name)]
    if alone:
        yield f"no link ends at {counted(len(alone), 'site')}: {_listed(alone)}"
    if cut := parted(topology):
        yield f"not every site can reach every other; cut off from the rest: {_listed(cut)}"


def parted(topology: Topology) -> list[str]:
    """Return the sites with links that are not in the largest part where all reach each other."""
    import networkx as nx

    graph = topology.graph()
    linked = graph.subgraph(name for name in topology.site_names if graph.degree(name))
    _, *others = sorted(nx.strongly_connected_components(linked), key=len, reverse=True)
    return [name for name in topology.site_names if name in set().union(*others)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def with_groups(topology: Topology, groups: Mapping[str, Sequence[str]]) -> Topology:
    """Return the topology with groups of links that fail together.

    Raises InputError for a link that is not there.
    """
    problems = []
    for group, names in groups.items():
        for name in names:
            if name not in topology.link_names:
                hint = did_you_mean(name, topology.link_names) or "links are named 'A>B'"
                where = ("risk_groups", group)
                problems.append(Problem(f"no link '{name}'", where, suggestion=hint))
    if problems:
        raise InputError(problems)
    return replace(topology, risk_groups={group: tuple(names) for group, names in groups.items()})
