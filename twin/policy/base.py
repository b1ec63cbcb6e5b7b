"""What a policy is, and what it sees."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, ClassVar, get_origin, get_type_hints

from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Strict, ValidationError, create_model

from twin.core.arrays import Bools, Floats, Ints
from twin.core.errors import InputError, Loc
from twin.core.validation import problems_of
from twin.demand.kpis import KPIS
from twin.policy.services import Quantiles, services

PERSISTENCE = "persistence"
"""The forecaster that needs no model: what was last known, stays."""


RESERVED = ("name", "use", "schedule", "from")
"""Keys of a policy's entry that no policy may have as a parameter."""


def model_for_kpis(model: str, kpis: Collection[str]) -> str:
    """Return the variant of a shipped model for a trace with `kpis`.

    Those trained on all four KPIs have a twin called ``NAME_traffic`` that needs `internet` alone.
    """
    return model if set(KPIS) <= set(kpis) else f"{model}_traffic"


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
    _kpis: tuple[str, ...]

    def forecasts(self, model: str, samples: int) -> Floats:
        """Return what a model would have forecast for the last `samples` of the history.

        Mbit/s, [samples, links], fitted on nothing but what comes before them. `model` is as in
        :meth:`Observation.forecast`.
        """
        return services().past_forecasts(model, samples)

    def quantiles(self, model: str, samples: int) -> Quantiles:
        """Return the quantiles that a model would have forecast, as :meth:`forecasts` does.

        Mbit/s, [samples, links, quantiles], and their levels.
        """
        return services().past_quantiles(model, samples)

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


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known at a tick: all closed intervals, up to the one that has just ended.

    All arrays are read-only; they can be read while the policy decides. A gap is NaN until its far
    end has been seen; from then on it is interpolated where it is no longer than an hour.
    """

    interval: int
    """The interval to decide for, counted from 0 at the start of the replay."""
    down: Bools
    """Links that are down at this tick, [links]."""
    links: tuple[str, ...]
    """Names of the links, in the order of every array's columns."""
    tick_s: int
    """Length of an interval, seconds."""
    _kpis: tuple[str, ...]
    _closed: int
    _ahead: bool = False

    def seen_by(self, policy: Policy) -> Observation:
        """Return what `policy` may see: this, and the coming interval if it is a bound."""
        # The class decides: what an instance says of itself later does not count.
        return replace(self, _ahead=True) if type(policy).bound else self

    @property
    def demand_mbps(self) -> Floats:
        """Offered demand of all closed intervals, Mbit/s, [samples, links]; NaN where missing."""
        return services().observed(KPIS[0], self._closed)

    @property
    def kpis(self) -> Mapping[str, Floats]:
        """Every KPI of the trace over all closed intervals, [samples, links]."""
        return KpiView(self._kpis, self._closed)

    @property
    def last_known_mbps(self) -> Floats:
        """The latest demand that was not missing, Mbit/s, [links]."""
        return services().last_known(self._closed)

    @property
    def coming_mbps(self) -> Floats:
        """The demand of the coming interval itself, Mbit/s, [links], for a bound alone.

        A policy that looks at it says so with `bound = True`, and is kept out of rankings.
        Raises RuntimeError for any other, and where nobody knows it yet.
        """
        if not self._ahead:
            raise RuntimeError(
                "coming_mbps is the future, for a bound alone; say `bound: ClassVar[bool] = True`"
            )
        return services().coming(self._closed)

    def forecast(self, model: str) -> Floats:
        """Return the forecast of a model, by name or file, for the coming interval.

        Mbit/s, [links]. The model ``persistence`` is the last known demand. Raises InputError
        where there is no such model or the trace lacks a KPI that it needs.
        """
        return services().forecast(model, self._closed)

    def quantiles(self, model: str) -> Quantiles:
        """Return a model's quantiles for the coming interval, and their levels.

        Mbit/s, [links, quantiles]. Raises InputError as :meth:`forecast` does, and for a model
        that forecasts no quantiles.
        """
        return services().quantiles(model, self._closed)


class Policy:
    """A provisioning policy: at every tick, what to allocate to each link.

    Annotated class attributes with defaults are its parameters: they become keys of the
    scenario, checked like any other, and attributes of the instance.
    """

    bound: ClassVar[bool] = False
    """Whether it sees the future: a bound to measure policies by, not one of them."""

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

    @classmethod
    def parameters(cls) -> type[BaseModel]:
        """Return the model that checks the parameters.

        Raises TypeError for a parameter without a default.
        """
        # mypy takes the class for one of its instances, which need not be hashable.
        return _parameters(cls)  # type: ignore[arg-type]


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
