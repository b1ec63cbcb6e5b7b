"""What is allowed in a topology and yet odd: a line of the file and a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twin.core.errors import Problem
from twin.core.text import ARROW
from twin.topology.parts import UNLIMITED, LinkPart, SitePart

_LARGEST_MBPS = 1e8
"""100 Tbit/s: no link has more, so another unit is likely."""


def odd_things(
    sites: Sequence[SitePart] | None, links: Sequence[LinkPart], parted: Sequence[str]
) -> Iterator[Problem]:
    """Yield what is odd about a network that can be used, from the parts of its file.

    `sites` is None where the file lists none; `parted` are those that not every other reaches.
    """
    yield from _links(links)
    if sites is not None:
        yield from _sites(sites, links)
    places = {end: link.at for link in reversed(links) for end in (link.a, link.b)}
    places |= {site.name: site.at for site in sites or ()}
    for name in parted:
        yield places[name].problem("", f"site {name} is cut off: not all can reach each other")


def _links(links: Sequence[LinkPart]) -> Iterator[Problem]:
    ways: dict[tuple[str, str], list[LinkPart]] = {}
    stated = sum(_stated(link.capacity_mbps) for link in links)
    for link in links:
        named = f"{link.a}{ARROW}{link.b}"
        if link.a == link.b:
            yield link.at.problem("", f"link {named} is from a site to itself: left out")
            continue
        way = (link.a, link.b) if link.directed else (min(link.a, link.b), max(link.a, link.b))
        if ways.get(way):
            first = ways[way][0].at.problem("", "").line
            where = "" if first is None else f", first in line {first}"
            yield link.at.problem("", f"another connection of {link.a} and {link.b}{where}")
        ways.setdefault(way, []).append(link)
        if stated and not _stated(link.capacity_mbps) and link.capacity_mbps not in UNLIMITED:
            what = f"{named} has no capacity, as {stated} others have: it is not limited"
            yield link.at.problem("", what)
        if _stated(link.capacity_mbps) and float(link.capacity_mbps) > _LARGEST_MBPS:
            what = f"{named} has a capacity of {float(link.capacity_mbps):,.0f} Mbit/s"
            yield link.at.problem("", what, "is it in bit/s?")
    yield from _directions(ways)


def _directions(ways: dict[tuple[str, str], list[LinkPart]]) -> Iterator[Problem]:
    for (a, b), parts in ways.items():
        back = ways.get((b, a), [])
        for i, link in enumerate(parts if parts[0].directed else ()):
            if i >= len(back):
                yield link.at.problem("", f"{a}{ARROW}{b} has no link back")
            elif a < b and _amount(link) != _amount(back[i]):
                what = f"{a}{ARROW}{b} and {b}{ARROW}{a} differ in capacity or weight"
                yield link.at.problem("", what)


def _sites(sites: Sequence[SitePart], links: Sequence[LinkPart]) -> Iterator[Problem]:
    ends = {end for link in links if link.a != link.b for end in (link.a, link.b)}
    placed = [site for site in sites if site.x is not None and site.y is not None]
    at: dict[tuple[float, float], str] = {}
    for site in sites:
        if site.name not in ends:
            yield site.at.problem("", f"no link ends at site {site.name}")
        if site.x is None or site.y is None:
            if placed:
                yield site.at.problem("", f"site {site.name} has no coordinates, as others have")
            continue
        place = float(site.x), float(site.y)
        if place in at:
            yield site.at.problem("", f"site {site.name} is where {at[place]} is")
        at.setdefault(place, site.name)


def _stated(capacity: Any) -> bool:
    return capacity is not None and str(capacity).strip().lower() not in UNLIMITED


def _amount(link: LinkPart) -> tuple[float | None, float]:
    capacity = float(link.capacity_mbps) if _stated(link.capacity_mbps) else None
    return capacity, 1.0 if link.weight is None else float(link.weight)
