"""What policies will decide along many futures of one present, asked side by side.

What a policy is shown of a future does not depend on what it decides, but for orders under way and
what watches the load. Where there is neither, its decisions can be had before anything is gone
through: forecasts and demand of all futures are laid side by side, as so many copies of the links,
and a policy that decides for each link by itself (:meth:`twin.Policy.for_links`) decides for all
of them at each tick. A hundred links keep NumPy busy for a tenth of the time that a call takes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
from numpy.typing import ArrayLike

from twin.core.arrays import Floats, Ints
from twin.demand.gaps import known
from twin.engine.answers import as_array
from twin.engine.engine import Engine
from twin.engine.load import DEMAND
from twin.engine.services import EngineServices
from twin.engine.shown import observation_of
from twin.events.effects import Distortion, Echo, Silence
from twin.policy.base import Observation, Policy, is_bound
from twin.policy.commitment import Commitment
from twin.policy.services import Services, serving

Ask = tuple[Any, ...]
"""A method of the services, and what it is given beside the sample: (name, model, ...)."""

_TO_COME: Final = ("forecast", "forecast_path", "quantiles", "calibrated")
_COLUMNS: Final = 1_200
"""Links that are decided for at once: beyond that, time grows with their number."""
_VALUES: Final = 12_000_000
"""Observed values that may have to be laid side by side, at most: 96 MB."""


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


class Listening:
    """Services that note what is asked of what is to come."""

    def __init__(self, services: EngineServices) -> None:
        self._services = services
        self.asks: dict[Ask, None] = {}
        """In the order in which they were asked first."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._services, name)
        if name not in _TO_COME:
            return method

        def noted(model: str, sample: int, *rest: Any) -> Any:
            self.asks[(name, model, *rest)] = None
            return method(model, sample, *rest)

        return noted


class SideBySide:
    """Answers what a policy asks that decides for copies of the links, future by future."""

    def __init__(
        self, past: Floats, demand: Floats, answers: dict[Ask, list[list[Any]]], copies: int
    ) -> None:
        """Take what was observed, [samples, links], and in each future, [samples, columns].

        Of each ask there are the answers at each tick in each of the futures.
        """
        self._past, self._demand, self._copies = past, demand, copies
        self._answers = answers
        self.tick = 0

    @cached_property
    def _table(self) -> Floats:
        # Most policies look at the latest sample alone.
        table = np.concatenate([np.tile(self._past, (1, self._copies)), self._demand])
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
        row: Floats = np.tile(self._past[-1], self._copies) if place < 0 else self._demand[place]
        return row

    def __getattr__(self, name: str) -> Any:
        if name not in _TO_COME:
            raise AttributeError(name)

        def answer(model: str, _: int, *rest: Any) -> Any:
            parts = [each[self.tick] for each in self._answers[(name, model, *rest)]]
            if isinstance(parts[0], tuple):
                return np.concatenate([values for values, _ in parts]), parts[0][1]
            return np.concatenate(parts, axis=-1)

        return answer


def foretellable(engine: Engine) -> bool:
    """Return whether what policies are shown of a future can be known before it is gone through."""
    plans = engine._plans
    effects = plans.effects(Distortion), plans.effects(Echo), plans.effects(Silence)
    changes = any(effects) or plans.watches or engine._load.echoing
    return not (changes or engine._source.ahead)


def asks_of(engine: Engine) -> dict[str, dict[Ask, None]]:
    """Return what policies ask of what is to come, by lane, of those that can be asked ahead."""
    if not foretellable(engine):
        return {}
    return {
        lane.name: asks
        for lane in engine._lanes
        if lane.provisioning is None and (asks := _asks(engine, lane.policy)) is not None
    }


def foretold(
    engine: Engine, asked: Mapping[str, dict[Ask, None]], futures: Iterable[Engine], steps: int
) -> dict[str, list[Foretold]]:
    """Return what decides in each of the futures, by the lane in `asked`.

    They are `steps` intervals long, each is used until the next one is taken, and none has begun.
    Whoever fails is left out: it fails again where it is asked as usual.
    """
    first, links = engine._decided, len(engine.links)
    ticks = range(first, engine.closed + steps)
    begins = engine.span.first + engine.closed
    demand: list[Floats] = []
    answers: dict[Ask, list[list[Any]]] = {ask: [] for asks in asked.values() for ask in asks}
    for future in futures:
        services = future._services
        demand.append(future._telemetry.rows(DEMAND, begins, begins + steps).copy())
        told: dict[Ask, list[Any]] = {ask: [] for ask in answers}
        for tick in ticks:
            services.closed = engine.span.first + tick
            for ask, said in told.items():
                name, model, *rest = ask
                said.append(getattr(services, name)(model, services.closed, *rest))
        for ask, said in told.items():
            answers[ask].append(said)
    past = known(engine._telemetry, DEMAND, begins)
    columns = min(_COLUMNS, _VALUES // (len(past) + steps))
    at_once = max(columns // links, 1)
    decided: dict[str, list[Foretold]] = {}
    for lane in engine._lanes:
        if lane.name not in asked:
            continue
        rows: list[Floats] = []
        try:
            for start in range(0, len(demand), at_once):
                some = slice(start, start + at_once)
                together = np.concatenate(demand[some], axis=1)
                own = {ask: answers[ask][some] for ask in asked[lane.name]}
                copies = len(demand[some])
                beside = SideBySide(past, together, own, copies)
                rows += _decisions(engine, lane.policy, beside, ticks, copies)
        except Exception:
            continue
        decided[lane.name] = [Foretold(first, each) for each in rows]
    return decided


def _decisions(
    engine: Engine, policy: Policy, services: SideBySide, ticks: range, copies: int
) -> list[Floats]:
    """Return what a policy decides at some ticks in each of the futures, [ticks, links]."""
    columns = np.tile(np.arange(len(engine.links)), copies)
    own = _for_links(policy, columns)
    assert own is not None
    rows = np.empty((len(ticks), len(columns)))
    with serving(cast("Services", services)):
        for place, tick in enumerate(ticks):
            services.tick = place
            seen = _shown(engine, tick, columns)
            rows[place] = as_array(own.allocate(seen))
    return [np.ascontiguousarray(each) for each in np.split(rows, copies, axis=1)]


def _asks(engine: Engine, policy: Policy) -> dict[Ask, None] | None:
    """Return what a policy asks of what is to come; None where it cannot be asked like this."""
    if is_bound(type(policy)):
        return None
    links = np.arange(len(engine.links))
    try:
        own = _for_links(policy, links)
        if own is None:
            return None
        listening = Listening(engine._services)
        with serving(cast("Services", listening)):
            own.allocate(_shown(engine, engine.closed, links))
    except Exception:
        return None
    return listening.asks


def _for_links(policy: Policy, links: Ints) -> Policy | None:
    # Nothing that it changes may be the policy's own.
    return copy.deepcopy(policy).for_links(links)


def _shown(engine: Engine, tick: int, columns: Ints) -> Observation:
    """Return what is observed at a tick of what does not depend on what is decided."""
    sample = engine.span.first + tick
    seen = observation_of(engine.links, engine.source, engine._network, tick, sample)
    # What is left empty nobody who decides like this may read.
    nothing: Sequence[Any] = ()
    names = tuple(np.asarray(engine.links)[columns].tolist())
    return seen._replace(
        links=names,
        down=np.asarray(nothing, dtype=np.bool_),
        capacity_mbps=np.asarray(nothing, dtype=np.float64),
        commitment=Commitment.at_once(len(columns)),
    )
