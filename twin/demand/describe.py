"""The contents of a trace, as `twin data info` prints them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from twin.core import clock
from twin.demand.trace import Trace


@dataclass(frozen=True, slots=True)
class LinkDescription:
    """Statistics of one link's demand over its known samples, NaN where there is none."""

    link: str
    mean_mbps: float
    p95_mbps: float
    max_mbps: float
    missing: int
    """Samples without a value."""


@dataclass(frozen=True, slots=True)
class Description:
    """The contents of a trace, and what was repaired while it was read."""

    origin: str
    samples: int
    tick_s: int
    span_s: int
    """From the start of the first interval to the end of the last."""
    starts: datetime | None
    kpis: tuple[str, ...]
    missing: int
    """Samples of `internet` without a value, over all links."""
    notes: tuple[str, ...]
    repairs: tuple[str, ...]
    links: tuple[LinkDescription, ...]
    warnings: tuple[str, ...] = ()
    """What may be wrong with it."""


def describe(trace: Trace) -> Description:
    """Return the description of `trace`."""
    links = tuple(_link(name, trace.demand_mbps[:, k]) for k, name in enumerate(trace.links))
    return Description(
        origin=trace.origin,
        samples=trace.samples,
        tick_s=trace.tick_s,
        span_s=trace.samples * trace.tick_s,
        starts=None if trace.starts is None else clock.local(trace.starts, trace.timezone),
        kpis=tuple(trace.kpis),
        missing=sum(link.missing for link in links),
        notes=trace.notes,
        repairs=trace.repairs,
        links=links,
        warnings=trace.warnings,
    )


def _link(name: str, demand: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> LinkDescription:
    known = demand[~np.isnan(demand)]
    if not len(known):
        return LinkDescription(name, np.nan, np.nan, np.nan, len(demand))
    return LinkDescription(
        name,
        float(known.mean()),
        float(np.percentile(known, 95)),
        float(known.max()),
        len(demand) - len(known),
    )
