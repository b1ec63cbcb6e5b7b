"""A plain CSV of links: ``a,b,capacity_mbps,weight,length_km``, the last three as wanted."""

from __future__ import annotations

import csv
from pathlib import Path

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.text import decode
from twin.topology.parts import LinkPart, Place

COLUMNS = ("a", "b", "capacity_mbps", "weight", "length_km")


def read_link_table(data: bytes, file: Path, directed: bool | None) -> list[LinkPart]:
    """Return the connections of a table, a row each.

    A row stands for both directions unless `directed`. Where that is not stated and a pair of sites
    is there both ways, nobody can tell. Raises InputError.
    """
    text = decode(data.removeprefix(b"\xef\xbb\xbf"), file)
    lines = text.splitlines()
    separator = max(",;\t", key=(lines[0] if lines else "").count)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise InputError(Problem(f"is not CSV: {error}", "", file, reader.line_num)) from None
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise InputError(Problem("is empty", "", file))
    header_line, header = rows[0]
    problems = [
        Problem(
            f"no column '{name}'", "", file, header_line,
            did_you_mean(name, header) or "the columns are a,b,capacity_mbps,weight",
        )
        for name in COLUMNS[:2]
        if name not in header
    ]  # fmt: skip
    for name in sorted(set(header) - set(COLUMNS)):
        hint = did_you_mean(name, COLUMNS) or f"the columns are {', '.join(COLUMNS)}"
        problems.append(Problem(f"has no meaning: column '{name}'", "", file, header_line, hint))
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            what = f"has {len(cells)} cells, the header {len(header)}"
            problems.append(Problem(what, "", file, line))
    if problems:
        raise InputError(problems)
    parts = []
    for line, cells in rows[1:]:
        row = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        capacity, weight, length = (row.get(name) for name in COLUMNS[2:])
        ends = row.get("a", ""), row.get("b", "")
        at = Place(file, line)
        parts.append(LinkPart(*ends, at, bool(directed), capacity, weight, length))
    if directed is None:
        _check_direction(parts)
    return parts


def _check_direction(parts: list[LinkPart]) -> None:
    first: dict[tuple[str, str], LinkPart] = {}
    for part in parts:
        back = first.get((part.b, part.a))
        if back is not None and part.a != part.b:
            what = f"'{part.a}' and '{part.b}' are there both ways, first in line {back.at.line}"
            remedy = (
                "write 'directed: true' in the topology where each row is one direction, "
                "'directed: false' where these are two connections"
            )
            raise InputError(part.at.problem("", what, remedy))
        first.setdefault((part.a, part.b), part)
