"""What policies are shown: the history when they fit, an observation at each tick."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from twin.engine.network import Network
from twin.engine.provisioning import LinkSettings
from twin.engine.span import ReplaySpan
from twin.policy.base import History, Observation
from twin.policy.commitment import Commitment
from twin.policy.prices import Prices
from twin.telemetry.source import TelemetrySource

_PERIOD_S: Final = 30 * 86_400
"""The SLA's period where neither a scenario nor the end of a replay says one."""


class Sla(NamedTuple):
    """What is asked of every link."""

    target: float
    """Largest share of violated intervals."""
    period_s: float | None
    """The target is to be held in each, seconds; None: over the replay."""
    prices: Prices | None = None
    """What an interval costs; None where nobody says."""


def history_of(
    links: tuple[str, ...],
    source: TelemetrySource,
    span: ReplaySpan,
    sla: Sla,
    settings: LinkSettings,
) -> History:
    """Return what policies fit on."""
    tick_s = source.tick_s
    period_s = sla.period_s or (_PERIOD_S if span.endless else np.inf)
    intervals = int(min(period_s / tick_s, span.length or np.inf))
    commitment = settings.commitment(tick_s).sealed()
    return History(
        links,
        tick_s,
        sla.target,
        span.history,
        max(intervals, 1),
        commitment,
        sla.prices,
        source.kpis,
    )


def observation_of(
    links: tuple[str, ...],
    source: TelemetrySource,
    network: Network,
    interval: int,
    sample: int,
) -> Observation:
    """Return what is observed when `sample` samples have closed, before an interval.

    By policies whose decisions are in force at once.
    """
    down, nominal = network.shown
    return Observation(
        interval,
        down,
        links,
        source.tick_s,
        nominal,
        Commitment.at_once(len(links)),
        source.kpis,
        sample,
        source.starts,
        source.timezone,
    )
