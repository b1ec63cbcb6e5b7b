"""What `twin data info` says of a network, and draws of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from twin.core.errors import InputError, Problem
from twin.core.files import write_whole
from twin.core.units import counted
from twin.results.table import console, say, show_rows
from twin.topology.describe import Farthest, NetworkDescription, describe_network
from twin.topology.read import is_network, read_network
from twin.topology.topology import Topology

_MOST_ROWS = 60
_PICTURES = (".svg", ".png")


def is_network_file(name: str) -> bool:
    """Return whether a file holds a network, and not a trace."""
    path = Path(name)
    return path.is_file() and is_network(path)


def print_network_file(name: str, out: Path | None) -> None:
    """Describe the network in a file, with what is odd in it, and draw it to `out`."""
    topology, odd = read_network(Path(name))
    print_network(topology, odd, out)


def print_network(
    topology: Topology, odd: Sequence[Problem] | None = None, out: Path | None = None
) -> None:
    """Describe a network, with what is odd in its file, and draw it to `out`."""
    if out is not None:
        _check_picture(out)
    described = describe_network(topology)
    lines = console()
    for sentence in _sentences(topology, described):
        say(lines, sentence)
    for warning in topology.notes if odd is None else odd:
        say(lines, f"Warning: {warning}")
    rows = _sites(topology, described)
    headers = ["site", "x", "y", "connections", "capacity of its links\nMbit/s"]
    show_rows(headers, rows[:_MOST_ROWS], ())
    if len(rows) > _MOST_ROWS:
        say(lines, f"{len(rows) - _MOST_ROWS} more sites")
    _print_cuts(topology, described)
    if out is not None:
        _draw(topology, out)
        say(lines, f"Written: {out}")


def _sentences(topology: Topology, described: NetworkDescription) -> list[str]:
    sites, links = counted(len(topology.sites), "site"), counted(len(topology.links), "link")
    degree = described.degree
    sentences = [
        f"{topology.origin}: {sites}, {counted(described.connections, 'connection')}, {links}",
        f"Capacity: {_range(topology.capacities, 'Mbit/s')}",
        f"Weight: {_range(topology.weights)}",
        f"Connections of a site: {degree.min()} to {degree.max()}, mean {degree.mean():.2g}",
        f"Diameter: {_far(described.hops, 'hop')}; by weight {_far(described.weight)}",
    ]
    lengths = np.array([ln.length_km for ln in topology.links if ln.length_km is not None])
    if len(lengths):
        sentences.insert(3, f"Length: {_range(lengths, 'km')}")
    placed = sum(site.x is not None and site.y is not None for site in topology.sites)
    if placed < len(topology.sites):
        known = f"of {placed} sites" if placed else "none"
        sentences.append(f"Coordinates: {known}; a map places the others by their links")
    return sentences


def _range(values: np.ndarray, unit: str = "") -> str:
    limited = values[np.isfinite(values)]
    if not len(limited):
        return "unlimited"
    low, middle, high = (f"{v:,.15g}" for v in (limited.min(), np.median(limited), limited.max()))
    unit = f" {unit}" if unit else ""
    text = f"{low}{unit} each" if low == high else f"{low} to {high}{unit}, median {middle}"
    missing = len(values) - len(limited)
    return f"{text}; {counted(missing, 'link')} unlimited" if missing else text


def _far(far: Farthest, unit: str = "") -> str:
    distance = f"{far.distance:,.15g}"
    if unit:
        distance = counted(int(far.distance), unit)
    return f"{distance}, from {far.source} to {far.target}"


def _sites(topology: Topology, described: NetworkDescription) -> list[list[str]]:
    capacity = dict.fromkeys(topology.site_names, 0.0)
    for link in topology.links:
        capacity[link.source] += link.capacity_mbps
    return [
        [
            site.name if site.label in ("", site.name) else f"{site.name} ({site.label})",
            "-" if site.x is None else f"{site.x:.6g}",
            "-" if site.y is None else f"{site.y:.6g}",
            str(degree),
            "unlimited" if np.isinf(capacity[site.name]) else f"{capacity[site.name]:,.15g}",
        ]
        for site, degree in zip(topology.sites, described.degree.tolist(), strict=True)
    ]


def _print_cuts(topology: Topology, described: NetworkDescription) -> None:
    lines = console()
    kinds = "connection, no site" + (" and no risk group" if topology.risk_groups else "")
    if not described.cuts:
        say(lines, f"What a single failure cuts off: nothing; no {kinds} is needed by others")
        return
    say(lines, "What a single failure cuts off:")
    rows = [
        [cut.kind, cut.name, str(len(cut.sites)), _few(cut.sites)]
        for cut in described.cuts[:_MOST_ROWS]
    ]
    show_rows(["kind", "failure", "sites\ncut off", "which"], rows, ())
    if len(described.cuts) > _MOST_ROWS:
        say(lines, f"{len(described.cuts) - _MOST_ROWS} more failures that cut something off")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _check_picture(out: Path) -> None:
    if out.suffix not in _PICTURES:
        raise InputError(Problem(f"--out: '{out}' must end in .svg or .png"))
    if not out.absolute().parent.is_dir():
        raise InputError(Problem("--out: its folder is not there", file=out))


def _draw(topology: Topology, out: Path) -> None:
    from twin.report.map.picture import png, svg

    label = f"{topology.origin}: {len(topology.sites)} sites, {len(topology.links)} links"
    try:
        if out.suffix == ".png":
            write_whole(out, partial(png, topology))
        else:
            text = svg(topology, label).encode()
            write_whole(out, lambda stream: stream.write(text))
    except OSError as error:
        what = f"--out: cannot be written: {error.strerror or error}"
        raise InputError(Problem(what, file=out)) from None
