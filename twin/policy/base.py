"""What a policy is, and what it sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Strict, ValidationError, create_model

from twin.core import clock
from twin.core.arrays import Bools, Floats, Ints
from twin.core.errors import InputError, Loc
from twin.core.validation import problems_of
from twin.demand.kpis import KPIS
from twin.policy.commitment import Commitment
from twin.policy.prices import Prices
from twin.policy.services import Quantiles, looking_ahead, looks_ahead, services

RESERVED = ("name", "use", "schedule", "from")
"""Keys of a policy's entry that no policy may have as a parameter."""


@dataclass(frozen=True, slots=True)
class History:
    """The part of the trace on which policies may fit, as it is known at its end.

    Arrays are read-only; they can be read while the policy fits or decides.
    """

    links: tuple[str, ...]
    tick_s: int
    sla_target: float
    """Largest share of violated intervals that the scenario asks for."""
    samples: int
    """Number of samples."""
    sla_intervals: int
    """Intervals in which the target is to be held: a period, or the whole replay."""
    commitment: Commitment
    """Which intervals a decision covers, once the first has been taken."""
    prices: Prices | None
    """What an interval costs; None where the scenario states no prices."""
    _kpis: tuple[str, ...]

    def forecasts(self, model: str, samples: int, ahead: int = 0) -> Floats:
        """Return what a model would have forecast for the last `samples` of the history.

        Mbit/s, [samples, links], fitted on nothing but what comes before them: the forecast of a
        sample knows what is `ahead` samples before it, and earlier. `model` is as in
        :meth:`Observation.forecast`.
        """
        return services().past_forecasts(model, samples, ahead)

    def forecast_path(self, model: str, sample: int, n: int, first: int = 0) -> Floats:
        """Return what would have been forecast before `sample` of the history, [n, links].

        As :meth:`Observation.forecast_path`; samples are to be asked for in order, and what is
        fitted is fitted on what comes before the first one.
        """
        return services().past_path(model, sample, first, n)

    def quantiles(self, model: str, samples: int, ahead: int = 0) -> Quantiles:
        """Return the quantiles that a model would have forecast, as :meth:`forecasts` does.

        Mbit/s, [samples, links, quantiles], and their levels.
        """
        return services().past_quantiles(model, samples, ahead)

    @property
    def season(self) -> Ints:
        """Samples after which each link's demand repeats, found in the history; 0 for none."""
        return services().season()

    @property
    def kpis(self) -> Mapping[str, Floats]:
        """KPI name: [samples, links]; traffic in Mbit/s; NaN where missing."""
        return KpiView(self._kpis, self.samples)

    @property
    def demand_mbps(self) -> Floats:
        """The demand, Mbit/s, [samples, links]; NaN where missing."""
        return services().observed(KPIS[0], self.samples)


class KpiView(Mapping[str, Floats]):
    """KPIs as they are known once some samples are seen, read when they are asked for."""

    def __init__(self, names: tuple[str, ...], closed: int) -> None:
        self._names, self._closed = names, closed

    def __getitem__(self, name: str) -> Floats:
        if name not in self._names:
            raise KeyError(name)
        return services().observed(name, self._closed)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Observation(NamedTuple):
    """What is known at a tick: all closed intervals, up to the one that has just ended.

    All arrays are read-only; they can be read while the policy decides. A gap is NaN until its far
    end has been seen; from then on it is interpolated where it is no longer than an hour. All
    policies are shown the same one, so that nothing in it can be replaced.
    """

    interval: int
    """The interval to decide for, counted from 0 at the start of the replay."""
    down: Bools
    """Links that are down at this tick, [links]."""
    links: tuple[str, ...]
    """Names of the links, in the order of every array's columns."""
    tick_s: int
    """Length of an interval, seconds."""
    capacity_mbps: Floats
    """Physical ceiling of each link now, whether it is down or not, Mbit/s, [links]."""
    commitment: Commitment
    """Which intervals a decision taken now covers, per link."""
    kpi_names: tuple[str, ...]
    """Names of the trace's KPIs."""
    closed: int
    """Number of samples that have closed, from the first of the trace."""
    starts: datetime | None = None
    """Time of the first sample, where the trace has dates."""
    timezone: str | None = None
    """Whose clocks :attr:`time` is shown by, where the scenario states one."""

    @property
    def time(self) -> datetime | None:
        """When the coming interval begins, where the trace has dates."""
        if self.starts is None:
            return None
        return clock.local(
            self.starts + timedelta(seconds=self.closed * self.tick_s), self.timezone
        )

    @property
    def demand_mbps(self) -> Floats:
        """Offered demand of all closed intervals, Mbit/s, [samples, links]; NaN where missing."""
        return services().observed(KPIS[0], self.closed)

    @property
    def latest_mbps(self) -> Floats:
        """Offered demand of the last closed interval, Mbit/s, [links]; NaN where missing."""
        return services().latest(self.closed)

    @property
    def kpis(self) -> Mapping[str, Floats]:
        """Every KPI of the trace over all closed intervals, [samples, links]."""
        return KpiView(self.kpi_names, self.closed)

    @property
    def last_known_mbps(self) -> Floats:
        """The latest demand that was not missing, Mbit/s, [links]."""
        return services().last_known(self.closed)

    @property
    def coming_mbps(self) -> Floats:
        """The demand of the coming interval itself, Mbit/s, [links], for a bound alone.

        A policy that looks at it says so with `bound = True`, and is kept out of rankings.
        Raises RuntimeError for any other, and where nobody knows it yet.
        """
        return services().coming(self.closed)

    def forecast(self, model: str, ahead: int = 0) -> Floats:
        """Return the forecast of a model, by name or file, Mbit/s, [links].

        For the coming interval, or one that is `ahead` intervals after it. Models reach a week of
        5-minute intervals; farther away, the same place in that week stands in. The model
        ``persistence`` is the last known demand; ``auto`` is what did best on the history of each
        link. Raises InputError where there is no such model or the trace lacks a KPI that it needs.
        """
        return services().forecast(model, self.closed, ahead)

    def forecast_path(self, model: str, n: int, first: int = 0) -> Floats:
        """Return the forecasts for `n` intervals on end, Mbit/s, [n, links].

        The first is the coming one, or one that is `first` intervals after it. Raises as
        :meth:`forecast` does.
        """
        return services().forecast_path(model, self.closed, first, n)

    def highest_forecast(self, model: str) -> Floats:
        """Return the highest forecast of the intervals that a decision covers, Mbit/s, [links].

        Raises as :meth:`forecast` does.
        """
        first, count = self.commitment.span
        path = self.forecast_path(model, count, first)
        return np.asarray(np.where(self.commitment.covered, path, -np.inf).max(axis=0))

    def quantiles(
        self, model: str, levels: Sequence[float] | int = (), ahead: int = 0
    ) -> Quantiles:
        """Return quantiles of the demand and their levels, Mbit/s, [links, levels].

        With `levels` (0 to 1, in any order), those of any model, calibrated on the errors that its
        forecasts made so far: demand is at or below each about as often as its level says. The
        first time they settle on the end of the history. Without, what a model that forecasts
        quantiles says itself. Raises as :meth:`forecast` does, and InputError for a level that is
        not between 0 and 1, or a model without quantiles of its own where no level is asked for.
        """
        if isinstance(levels, int):  # quantiles(model, ahead)
            return services().quantiles(model, self.closed, levels)
        if len(levels) == 0:
            return services().quantiles(model, self.closed, ahead)
        wanted = tuple(float(level) for level in levels)
        return services().calibrated(model, self.closed, ahead, wanted)


class Policy:
    """A provisioning policy: at every tick, what to allocate to each link.

    Annotated class attributes with defaults are its parameters: they become keys of the
    scenario, checked like any other, and attributes of the instance.
    """

    bound: ClassVar[bool] = False
    """Whether it sees the future: a bound to measure policies by, not one of them.

    The body of the class says it (:func:`is_bound`); later it is too late.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.bound:
            _BOUNDS.add(cls)

    def __init__(self, **parameters: Any) -> None:
        try:
            checked = self.parameters().model_validate(parameters)
        except ValidationError as error:
            known: dict[Loc, list[str]] = {(): list(self.parameters().model_fields)}
            where = (type(self).__name__,)
            raise InputError(problems_of(error, prefix=where, known=known)) from None
        for name in type(checked).model_fields:
            setattr(self, name, getattr(checked, name))

    def fit(self, history: History) -> None:
        """Learn from the history; called once, before the first tick."""

    def allocate(self, observation: Observation) -> ArrayLike:
        """Return the allocation of every link for the coming interval, Mbit/s, [links]."""
        raise NotImplementedError(f"{type(self).__name__} has no allocate()")

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002
        """Return the models it will ask for on a trace with `kpis`.

        They are then checked before the run starts, rather than when first asked for.
        """
        return ()

    def for_links(self, links: Ints) -> Policy | None:  # noqa: ARG002
        """Return a policy that goes on from here as this one does, for some links; else None.

        `links` are columns of those that it was fitted for, and may name one several times. It
        is asked for where many futures are decided at once, such as in a what-if. A policy may
        answer that decides for each link by itself, and by what is observed and forecast of its
        demand and by its commitment alone: it is shown neither `down` nor `capacity_mbps`.
        """
        return None

    @classmethod
    def parameters(cls) -> type[BaseModel]:
        """Return the model that checks the parameters.

        Raises TypeError for a parameter without a default.
        """
        # mypy takes the class for one of its instances, which need not be hashable.
        return _parameters(cls)  # type: ignore[arg-type]


_BOUNDS: set[type[Policy]] = set()
"""The classes that were defined as bounds."""


def is_bound(policy: type[Policy]) -> bool:
    """Return whether a class was defined as one that sees the future.

    What it, or an instance, says of itself while it runs does not count.
    """
    return policy in _BOUNDS


def ask(policy: Policy, observation: Observation) -> ArrayLike:
    """Let one policy decide for another; it sees the coming interval if both are bounds."""
    with looking_ahead(is_bound(type(policy)) and looks_ahead()):
        return policy.allocate(observation)


@cache
def _parameters(policy: type[Policy]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(policy, include_extras=True).items():
        if name.startswith("_") or get_origin(hint) is ClassVar:
            continue
        if not hasattr(policy, name):
            raise TypeError(f"parameter '{name}' needs a default")
        # YAML knows lists alone, and strict checking takes no list for a tuple.
        loose = Annotated[hint, Strict(False)] if get_origin(hint) is tuple else hint
        fields[name] = (loose, getattr(policy, name))
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)
    return create_model(policy.__name__, __config__=config, **fields)
