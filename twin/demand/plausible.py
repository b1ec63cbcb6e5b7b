"""What a trace probably is not: counters that were taken for rates, and values in another unit."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError
from twin.core.units import MBPS, counted
from twin.demand.cells import unit_mbps
from twin.demand.grid import Grid
from twin.demand.kpis import TRAFFIC_KPIS
from twin.demand.rows import Rows
from twin.demand.spec import DemandSpec

MOST_MBPS = 1e8
"""Largest mean of a link that is not wondered at: 100 Tbit/s."""
_HEAD = 64
"""Samples by which most links are known to be no counter."""
_RISES = 24
"""Least rises of a counter, without which nobody knows."""
_FALLS, _FEW = 0.02, 2
"""Largest share of changes of a counter that are falls, and how many it may be in any case."""
_LARGE = 1e6
"""A value that a counter of octets reaches within minutes."""
_UNIT_IN_NAME = re.compile(
    r"(?:^|[_\s(\[.-])(bits?/s(?:ec)?|[kKmMgGtT]?(?:bps|bit/s|b/s)|[kKmMgGtT]?Bps"
    r"|bytes?/s(?:ec)?|[kKMGT]?B/s)(?:$|[_\s)\].-])"
)


class OnlyGrowsError(InputError):
    """Counters that are read as rates."""


def refuse_counters(grid: Grid, rows: Rows) -> None:
    """Raise InputError where a link holds a counter that is read as a rate."""
    for kpi in TRAFFIC_KPIS:
        if kpi not in grid.kpis:
            continue
        grown = [code for code in _candidates(grid.kpis[kpi]) if _grows(grid.kpis[kpi][:, code])]
        if grown:
            row = int(np.flatnonzero(rows.code == grown[0])[0])
            others = f", and so does {counted(len(grown) - 1, 'other link')}"
            what = f"link '{rows.links[grown[0]]}' only grows{others if len(grown) > 1 else ''}: "
            what += "a counter, not a rate"
            remedy = "write 'kind: counter', or 'kind: rate' if the demand does grow like this"
            raise OnlyGrowsError(rows.locate(row).problem(rows.column(kpi, row), what, remedy))


def _candidates(values: Floats) -> list[int]:
    """Return the links that the first samples do not rule out, at little cost for many links."""
    head = values[:_HEAD]
    whole = (np.floor(head) == head) | np.isnan(head)
    large = np.fmax.reduce(values[-_HEAD:], axis=0, initial=0) >= _LARGE
    large |= np.fmax.reduce(head, axis=0, initial=0) >= _LARGE
    codes: list[int] = np.flatnonzero(whole.all(axis=0) & large).tolist()
    return codes


def _grows(values: Floats) -> bool:
    """Return whether a link's samples, large whole numbers, are those of a counter."""
    known = values[~np.isnan(values)]
    if (np.floor(known) != known).any():
        return False
    steps = np.diff(known)
    rises, falls = int((steps > 0).sum()), int((steps < 0).sum())
    if rises >= _RISES and falls <= max(_FEW, _FALLS * (rises + falls)):
        # A counter falls to what it has counted since; demand falls by less.
        return bool((known[1:][steps < 0] < known[:-1][steps < 0] / 2).all())
    return falls > 0 and rises + falls >= _RISES and _wraps(known, steps)


def _wraps(known: Floats, steps: Floats) -> bool:
    """Return whether samples are a counter of 32 bits that wraps every few readings.

    Taken modulo 2^32, the steps of a counter are all its growth and lie close together; those of
    a rate are small either way, which is close to 0 and close to 2^32.
    """
    if not 2.0**31 <= known.max() < 2.0**32:
        return False
    low, high = np.percentile(steps % 2.0**32, (5, 95))
    return bool(high - low < 2.0**31)


def unlikely_units(kpis: dict[str, Floats], rows: Rows | None, demand: DemandSpec) -> Iterator[str]:
    """Yield why the unit may be another than the stated one; `kpis` are in Mbit/s."""
    stated = "stated" if "unit" in demand.model_fields_set else "the default"
    named = () if rows is None or demand.kind == "counter" else rows.named
    for name in named:
        match = _UNIT_IN_NAME.search(name)
        mbps = None if match is None else _mbps(match[1])
        if mbps is not None and not np.isclose(mbps, demand.unit_mbps):
            yield f"column '{name}' is read as {demand.unit}, {stated}: is 'demand.unit' right?"
            return
    # Some hundred samples tell the size of a link, at little cost for long traces.
    some = kpis["internet"][:: max(len(kpis["internet"]) // 256, 1)]
    known = np.isfinite(some)
    means = np.where(known, some, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    largest = float(means.max(initial=0))
    if largest > MOST_MBPS:
        yield (
            f"a link has a mean of about {largest:.4g} Mbit/s, more than 100 Tbit/s, read as "
            f"{demand.unit}, {stated}: is 'demand.unit' right?"
        )


def unit_in_name(name: str) -> str | None:
    """Return the unit of a trace that the name of a column states, if it states one."""
    match = _UNIT_IN_NAME.search(name)
    mbps = None if match is None else _mbps(match[1])
    return next((unit for unit, size in MBPS.items() if mbps and np.isclose(mbps, size)), None)


def _mbps(unit: str) -> float | None:
    # Names are often in small letters throughout: 'mbps' are megabits.
    text = unit[:1].upper() + unit[1:] if re.match("[mgt](bps|bit|b/)", unit) else unit
    return unit_mbps(text)
