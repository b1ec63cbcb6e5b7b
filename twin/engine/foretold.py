"""What policies will decide along many futures of one present, asked side by side.

What a policy is shown of a future does not depend on what it decides, but for its orders under way
and what watches the load. Where nothing does, its decisions can be had before anything is gone
through, with the orders that follow from them. The links of all futures are laid side by side, and
a policy that decides for each link by itself (:meth:`twin.Policy.for_links`) decides for all of
them at each tick, over forecasts that are made for all of them. A hundred links keep NumPy busy for
a tenth of the time that a call takes. Where another present of the same past was asked along the
same paths, only the links that carry something else are asked again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
from numpy.typing import ArrayLike

from twin.core.arrays import Floats, Ints
from twin.demand.gaps import known
from twin.engine.answers import as_array, numbers
from twin.engine.columns import ColumnFeed, ColumnOrders
from twin.engine.engine import Engine
from twin.engine.load import DEMAND
from twin.engine.services import EngineServices
from twin.engine.shown import observation_of
from twin.events.effects import Distortion, Echo, Freeze, Silence
from twin.policy.base import Observation, Policy, is_bound
from twin.policy.commitment import Commitment
from twin.policy.services import Services, serving

Loads = Mapping[str, Floats]
"""What links carry in a future, [intervals, links] of each KPI."""

_COLUMNS: Final = 1_200
"""Links that are decided for at once: beyond that, time grows with their number."""
_VALUES: Final = 12_000_000
"""Observed values that may have to be laid side by side, at most: 96 MB."""
_TO_COME: Final = ("forecast", "forecast_path", "quantiles", "calibrated")


class Foretold(Policy):
    """Allocates what is known to be decided from an interval on."""

    def __init__(self, first: int, rows: Floats) -> None:
        """Take the decisions for the interval `first` and those after it, [intervals, links]."""
        super().__init__()
        self._first, self._rows = first, rows

    def allocate(self, observation: Observation) -> ArrayLike:
        """Return what is known to be decided."""
        row: Floats = self._rows[observation.interval - self._first]
        return row


@dataclass(frozen=True)
class Ahead:
    """What is known of futures before any is gone through."""

    loads: Sequence[Loads] = ()
    """Of each future; empty where that depends on what is decided."""
    first: int = 0
    """The interval that is decided for next."""
    decided: Mapping[str, Floats] = field(default_factory=dict)
    """What will be decided, by lane, [futures, intervals, links]."""

    def policy(self, lane: str, future: int) -> Foretold:
        """Return what decides in a future as the policy of `lane` would."""
        return Foretold(self.first, self.decided[lane][future])

    def apart(self, loads: Sequence[Loads]) -> Ints:
        """Return the links that carry something else in any of the futures."""
        pairs = zip(self.loads, loads, strict=True)
        differ = [
            (own[kpi] != rows).any(axis=0) for own, each in pairs for kpi, rows in each.items()
        ]
        return np.flatnonzero(np.any(differ, axis=0))


class Listening:
    """Services that note whether they are asked of what is to come."""

    def __init__(self, services: EngineServices) -> None:
        self._services = services
        self.asked = False

    def __getattr__(self, name: str) -> Any:
        self.asked |= name in _TO_COME
        return getattr(self._services, name)


class SideBySide:
    """Services for the columns of a block."""

    def __init__(
        self, services: EngineServices, past: Floats, columns: Ints, ahead: Floats
    ) -> None:
        """Take who forecasts for the columns, and what demand was and will be.

        Mbit/s: of all links, of which each column is one, [samples, links], and [samples, columns].
        """
        self._services, self._past, self._ahead = services, past, ahead
        self._columns = columns

    @cached_property
    def _table(self) -> Floats:
        # Most policies look at the latest sample alone.
        table = np.concatenate([self._past[:, self._columns], self._ahead])
        table.setflags(write=False)
        return table

    def observed(self, kpi: str, closed: int) -> Floats:
        """Return the demand of the first `closed` samples, [samples, columns]."""
        if kpi != DEMAND:
            raise LookupError(kpi)
        return self._table[:closed]

    def latest(self, closed: int) -> Floats:
        """Return the demand of sample closed - 1, [columns]."""
        place = closed - 1 - len(self._past)
        row: Floats = self._past[place, self._columns] if place < 0 else self._ahead[place]
        return row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)


def foretellable(engine: Engine) -> bool:
    """Return whether what policies are shown of a future can be known before it is gone through."""
    plans = engine._plans
    effects = plans.effects(Distortion), plans.effects(Echo), plans.effects(Silence)
    changes = any(effects) or plans.watches or engine._load.echoing
    return not (changes or engine._source.ahead)


def separable(engine: Engine) -> list[str]:
    """Return the lanes whose policies decide for each link by itself."""
    links = np.arange(len(engine.links))
    services = engine._services
    # Orders follow from requests, which are not always what the policy answered.
    answered = not (engine._plans.effects(Freeze) or services.unseen(services.closed).any())
    return [
        lane.name
        for lane in engine._lanes
        if (lane.provisioning is None or (answered and lane.provisioning.alike(engine.tick_s)))
        and _for_links(lane.policy, links) is not None
    ]


def foretold(
    engine: Engine,
    lanes: Sequence[str],
    loads: Sequence[Loads],
    like: Ahead,
    unlike: Collection[str],
    at_work: Callable[[], object],
) -> Ahead:
    """Return what lanes will decide in futures with these loads, of which none has begun.

    `like` is what another engine of the same past decides along the same paths, but for the lanes
    that are `unlike` its own. `at_work` is called at each tick. Whoever fails is left out: it fails
    again where it is asked as usual.
    """
    shared = [name for name in lanes if name in like.decided and name not in unlike]
    others = [name for name in lanes if name not in shared]
    decided = {name: like.decided[name].copy() for name in shared}
    ticks = range(engine._decided, engine.closed + len(next(iter(loads[0].values()))))
    shape = len(loads), len(ticks), len(engine.links)
    decided |= {name: np.empty(shape) for name in others}
    if shared:
        _decide(engine, decided, shared, loads, like.apart(loads), ticks, at_work)
    if others:
        _decide(engine, decided, others, loads, np.arange(len(engine.links)), ticks, at_work)
    return Ahead(loads, engine._decided, decided)


def _decide(
    engine: Engine,
    decided: dict[str, Floats],
    names: Sequence[str],
    loads: Sequence[Loads],
    links: Ints,
    ticks: range,
    at_work: Callable[[], object],
) -> None:
    """Write what lanes decide for some links into `decided`; drop those that fail."""
    closed = engine.span.first + engine.closed
    past = known(engine._telemetry, DEMAND, closed)
    at_once = max(min(_COLUMNS, _VALUES // (closed + len(ticks))), 1)
    for futures, columns in _blocks(len(loads), links, at_once):
        some, place = loads[futures[0] : futures[-1] + 1], futures - futures[0]
        ahead = {
            kpi: np.ascontiguousarray(np.stack([each[kpi] for each in some])[place, :, columns].T)
            for kpi in some[0]
        }
        feed = ColumnFeed(engine._telemetry, columns, closed, ahead)
        services = engine._services.for_links(feed, columns)
        beside = SideBySide(services, past, columns, ahead[DEMAND])
        lanes = [each for each in engine._lanes if each.name in names and each.name in decided]
        own = {lane.name: _for_links(lane.policy, columns) for lane in lanes}
        orders = {
            lane.name: ColumnOrders(lane.provisioning, columns)
            for lane in lanes
            if lane.provisioning is not None
        }
        seen = _shown(engine, columns)
        with serving(cast("Services", beside)):
            for row, tick in enumerate(ticks):
                at_work()
                services.closed = engine.span.first + tick
                now = seen._replace(interval=tick, closed=services.closed)
                for name in [*own]:
                    try:
                        answer = _asked(own[name], now, orders.get(name))
                    except Exception:
                        del own[name], decided[name]
                    else:
                        decided[name][futures, row, columns] = answer


def _blocks(futures: int, links: Ints, at_once: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield columns, so many at once: the future and the link of each."""
    of, column = np.repeat(np.arange(futures), len(links)), np.tile(links, futures)
    for first in range(0, len(of), at_once):
        yield of[first : first + at_once], column[first : first + at_once]


def _asked(policy: Policy | None, seen: Observation, orders: ColumnOrders | None) -> Floats:
    """Return what is allocated to columns, and let it be ordered."""
    assert policy is not None
    now = float(seen.interval * seen.tick_s)
    if orders is not None:
        seen = seen._replace(commitment=orders.commitment(now, seen.tick_s))
    answer, wrong = numbers(as_array(policy.allocate(seen)))
    if wrong or answer.shape != (len(seen.links),):
        raise ValueError("is no allocation")
    answer = answer.astype(np.float64)
    if orders is not None:
        orders.request(answer, now)
    return answer


def _for_links(policy: Policy, links: Ints) -> Policy | None:
    """Return a policy for columns, None where there is none or it fails."""
    if is_bound(type(policy)):
        return None
    try:
        # Nothing that it changes may be the policy's own.
        return copy.deepcopy(policy).for_links(links)
    except Exception:
        return None


def _shown(engine: Engine, columns: Ints) -> Observation:
    """Return what is observed of columns that does not depend on what is decided."""
    seen = observation_of(engine.links, engine.source, engine._network, 0, 0)
    # What is left empty nobody who decides like this may read.
    nothing: Sequence[Any] = ()
    return seen._replace(
        links=tuple(np.asarray(engine.links)[columns].tolist()),
        down=np.asarray(nothing, dtype=np.bool_),
        capacity_mbps=np.asarray(nothing, dtype=np.float64),
        commitment=Commitment.at_once(len(columns)),
    )
