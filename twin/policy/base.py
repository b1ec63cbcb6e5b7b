"""What a policy is, and what it sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Strict, create_model

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class History:
    """The part of the trace on which policies may fit. Arrays are read-only."""

    links: tuple[str, ...]
    tick_s: int
    kpis: Mapping[str, Floats]
    """KPI name: [samples, links]; `internet` and `downstream` in Mbit/s; NaN where missing."""
    sla_target: float
    """Largest share of violated intervals that the scenario asks for."""

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

    def forecast(self, model: str) -> Floats:
        """Return the forecast of a model, by name or file, for the coming interval.

        Mbit/s, [links]. Raises InputError where there is no such model or the trace lacks a
        KPI that it needs.
        """
        return self._stream.forecast(model, self._closed)


class Policy:
    """A provisioning policy: at every tick, what to allocate to each link.

    Annotated class attributes with defaults are its parameters: they become keys of the
    scenario, checked like any other, and attributes of the instance.
    """

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
        fields: dict[str, Any] = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            if name.startswith("_") or get_origin(hint) is ClassVar:
                continue
            if not hasattr(cls, name):
                raise TypeError(f"parameter '{name}' needs a default")
            # YAML knows lists alone, and strict checking takes no list for a tuple.
            loose = Annotated[hint, Strict(False)] if get_origin(hint) is tuple else hint
            fields[name] = (loose, getattr(cls, name))
        config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)
        return create_model(cls.__name__, __config__=config, **fields)
