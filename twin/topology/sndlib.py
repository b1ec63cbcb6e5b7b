"""The formats of SNDlib, XML and native, for networks.

A link is undirected there. Its capacity is the one that is installed before anything is planned,
and its weight the cost of the first module that may be added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from twin.core.errors import InputError, Problem
from twin.core.text import decode
from twin.topology.parts import LinkPart, Place, SitePart
from twin.topology.xml import parse_xml

Parts = tuple[list[SitePart], list[LinkPart]]


def read_sndlib_xml(data: bytes, file: Path) -> Parts:
    """Return the sites and links of an SNDlib network in XML. Raises InputError."""
    root = parse_xml(data, file)
    structure = root.first("networkStructure") if root.tag == "network" else None
    if structure is None:
        what = f"is not an SNDlib network: it begins with <{root.tag}>"
        raise InputError(Problem(what, "", file, root.line))
    sites = [
        SitePart(
            node.attributes.get("id", "").strip(),
            Place(file, node.line),
            "",
            node.value("coordinates/x"),
            node.value("coordinates/y"),
        )
        for node in structure.all("nodes/node")
    ]
    links = [
        LinkPart(
            link.value("source") or "",
            link.value("target") or "",
            Place(file, link.line),
            False,
            _installed(link.value("preInstalledModule/capacity")),
            _cost(link.value("additionalModules/addModule/cost")),
        )
        for link in structure.all("links/link")
    ]
    return sites, links


def _installed(capacity: str | None) -> str | None:
    # A network that is still to be planned has links with nothing installed: no limit is known.
    return None if capacity is None or _is_zero(capacity) else capacity


def _cost(cost: str | None) -> str | None:
    return None if cost is None or _is_zero(cost) else cost


def _is_zero(number: str) -> bool:
    try:
        return float(number) == 0
    except ValueError:
        return False


_GROUPS = {"NODES": 1, "LINKS": 2}
"""Groups in parentheses of an entry of each section."""
_Entry = tuple[str, int, list[str]]
"""Name, line, and all that follows until the next but parentheses."""


class _Token(NamedTuple):
    text: str
    line: int


def read_sndlib_native(data: bytes, file: Path) -> Parts:
    """Return the sites and links of an SNDlib network in the native format. Raises InputError."""
    tokens = list(_tokens(decode(data, file)))
    sites: list[SitePart] = []
    links: list[LinkPart] = []
    for section, entries in _sections(tokens, file).items():
        for name, line, numbers in entries:
            place = Place(file, line)
            if section == "NODES":
                x, y = numbers[:2] if len(numbers) >= 2 else (None, None)
                sites.append(SitePart(name, place, "", x, y))
            elif section == "LINKS":
                # id ( source target ) capacity cost routing_cost setup_cost ( {capacity cost}* )
                if len(numbers) < 3:
                    raise InputError(place.problem("", f"link '{name}' is cut short"))
                cost = numbers[7] if len(numbers) > 7 else None
                links.append(
                    LinkPart(
                        numbers[0], numbers[1], place, False, _installed(numbers[2]),
                        None if cost is None else _cost(cost),
                    )
                )  # fmt: skip
    return sites, links


def _tokens(text: str) -> Iterator[_Token]:
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition("#")[0]
        if number > 1 or not line.startswith("?"):
            for token in re.findall(r"[()]|[^\s()]+", code):
                yield _Token(token, number)


def _sections(tokens: list[_Token], file: Path) -> dict[str, list[_Entry]]:
    """Return the entries of the sections on sites and links."""
    sections: dict[str, list[_Entry]] = {}
    depth, section, closed = 0, "", 0
    entries: list[_Entry] = []
    for i, token in enumerate(tokens):
        if token.text == "(":
            depth += 1
            if depth == 1:
                section, closed = tokens[i - 1].text if i else "", 0
                entries = sections.setdefault(section, [])
        elif token.text == ")":
            depth -= 1
            closed += depth == 1
        elif depth == 1 and (not entries or closed == _GROUPS.get(section)):
            entries.append((token.text, token.line, []))
            closed = 0
        elif depth and entries:
            entries[-1][2].append(token.text)
    if depth:
        raise InputError(Problem(f"'{section}' is not closed", "", file, tokens[-1].line))
    if not sections.get("LINKS"):
        raise InputError(Problem("has no section LINKS", "", file))
    return {name: sections[name] for name in _GROUPS if name in sections}
