"""What a policy is, and what it sees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Strict, create_model

from twin.core.arrays import Floats
from twin.demand.trace import KPIS

Quantiles = tuple[Floats, tuple[float, ...]]
"""Values, the last axis by level, and the levels."""

PERSISTENCE = "persistence"
"""The forecaster that needs no model: what was last known, stays."""


RESERVED = ("name", "use", "schedule", "from")
"""Keys of a policy's entry that no policy may have as a parameter."""


def variant(model: str, kpis: Collection[str]) -> str:
    """Return the variant of a shipped model for a trace with `kpis`.

    Those trained on all four KPIs have a twin called ``NAME_traffic`` that needs `internet` alone.
    """
    return model if set(KPIS) <= set(kpis) else f"{model}_traffic"


@dataclass(frozen=True, slots=True)
class History:
    """The part of the trace on which policies may fit. Arrays are read-only."""

    links: tuple[str, ...]
    tick_s: int
    kpis: Mapping[str, Floats]
    """KPI name: [samples, links]; `internet` and `downstream` in Mbit/s; NaN where missing."""
    sla_target: float
    """Largest share of violated intervals that the scenario asks for."""
    _past: Callable[[str, int], Floats]
    _past_quantiles: Callable[[str, int], Quantiles]
    _season: Callable[[], NDArray[np.int64]]

    def forecasts(self, model: str, samples: int) -> Floats:
        """Return what a model would have forecast for the last `samples` of the history.

        Mbit/s, [samples, links], fitted on nothing but what comes before them. `model` is as in
        :meth:`Observation.forecast`.
        """
        return self._past(model, samples)

    def quantiles(self, model: str, samples: int) -> Quantiles:
        """Return the quantiles that a model would have forecast, as :meth:`forecasts` does.

        Mbit/s, [samples, links, quantiles], and their levels.
        """
        return self._past_quantiles(model, samples)

    @property
    def season(self) -> NDArray[np.int64]:
        """Samples after which each link's demand repeats, found in the history; 0 for none."""
        return self._season()

    @property
    def demand_mbps(self) -> Floats:
        """The demand, Mbit/s, [samples, links]; NaN where missing."""
        return self.kpis["internet"]


@dataclass(frozen=True, slots=True)
class Stream:
    """Everything that will be observed in a run, of which an observation shows the past."""

    links: tuple[str, ...]
    tick_s: int
    kpis: Mapping[str, Floats]
    last_known: Callable[[int], Floats]
    """Last known demand before a sample, Mbit/s, [links]."""
    forecast: Callable[[str, int], Floats]
    """A model's forecast of the demand in a sample from those before it, Mbit/s, [links]."""
    quantiles: Callable[[str, int], Quantiles]
    """The same for its quantiles, [links, quantiles], and their levels."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known at a tick: all closed intervals, up to the one that has just ended.

    All arrays are read-only. Gaps of up to an hour are interpolated, as everywhere; longer ones
    are NaN.
    """

    interval: int
    """The interval to decide for, counted from 0 at the start of the replay."""
    down: NDArray[np.bool_]
    """Links that are down at this tick, [links]."""
    _stream: Stream
    _closed: int
    _ahead: bool = False

    def seen_by(self, policy: Policy) -> Observation:
        """Return what `policy` may see: this, and the coming interval if it is a bound."""
        return replace(self, _ahead=True) if policy.bound else self

    @property
    def links(self) -> tuple[str, ...]:
        """Names of the links, in the order of every array's columns."""
        return self._stream.links

    @property
    def tick_s(self) -> int:
        """Length of an interval, seconds."""
        return self._stream.tick_s

    @property
    def demand_mbps(self) -> Floats:
        """Offered demand of all closed intervals, Mbit/s, [samples, links]; NaN where missing."""
        return self._stream.kpis["internet"][: self._closed]

    @property
    def kpis(self) -> Mapping[str, Floats]:
        """Every KPI of the trace over all closed intervals, [samples, links]."""
        return MappingProxyType(
            {name: values[: self._closed] for name, values in self._stream.kpis.items()}
        )

    @property
    def last_known_mbps(self) -> Floats:
        """The latest demand that was not missing, Mbit/s, [links]."""
        return self._stream.last_known(self._closed)

    @property
    def coming_mbps(self) -> Floats:
        """The demand of the coming interval itself, Mbit/s, [links], for a bound alone.

        A policy that looks at it says so with `bound = True`, and is kept out of rankings.
        Raises RuntimeError for any other.
        """
        if not self._ahead:
            raise RuntimeError(
                "coming_mbps is the future, for a bound alone; say `bound: ClassVar[bool] = True`"
            )
        row: Floats = self._stream.kpis["internet"][self._closed]
        return row

    def forecast(self, model: str) -> Floats:
        """Return the forecast of a model, by name or file, for the coming interval.

        Mbit/s, [links]. The model ``persistence`` is the last known demand. Raises InputError
        where there is no such model or the trace lacks a KPI that it needs.
        """
        return self._stream.forecast(model, self._closed)

    def quantiles(self, model: str) -> Quantiles:
        """Return a model's quantiles for the coming interval, and their levels.

        Mbit/s, [links, quantiles]. Raises InputError as :meth:`forecast` does, and for a model
        that forecasts no quantiles.
        """
        return self._stream.quantiles(model, self._closed)


class Policy:
    """A provisioning policy: at every tick, what to allocate to each link.

    Annotated class attributes with defaults are its parameters: they become keys of the
    scenario, checked like any other, and attributes of the instance.
    """

    bound: ClassVar[bool] = False
    """Whether it sees the future: a bound to measure policies by, not one of them."""

    def __init__(self, **parameters: Any) -> None:
        checked = self.parameters().model_validate(parameters)
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
