"""The scenario language: one frozen model per block of the YAML file, unknown keys refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from twin.errors import show
from twin.units import DAY_S, Duration, Share, format_duration, seconds

SYNTHETIC_KEYS = ("facilities", "length")
"""Keys of the demand that only the synthetic source has."""

MOST_SAMPLES = 100_000_000
"""Samples of all links that the synthetic source makes at the most."""

RESERVED = ("name", "use", "schedule", "from")
"""Keys of a policy's entry that no policy may have as a parameter."""


class Strict(BaseModel):
    """A block of the scenario: frozen, and a key that is not listed is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True)


def _number(value: Any) -> Any:
    # pydantic would take `true` for 1 and '7' for 7; a scenario means what it says.
    if isinstance(value, bool | str):
        raise ValueError(f"must be a number, not {show(value)}")
    return value


def _longer_than_nothing(value: float | None) -> float | None:
    if value == 0:
        raise ValueError("must be longer than 0s")
    return value


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _time(value: Any) -> Any:
    # pydantic would take a number, in digits or not, for a Unix time.
    if not isinstance(value, str | datetime | None) or _is_number(value):
        raise ValueError(f"must be an ISO-8601 time, not {show(value)}")
    return value


def _unit(value: Any) -> Any:
    # The unit closest in spelling would be wrong by a factor of 8.
    if isinstance(value, str) and re.fullmatch("[kKMGT]i?B(/s|ps)", value):
        raise ValueError(f"{show(value)} is not known; of bytes there is 'byte/s' alone")
    return value


Number = Annotated[float, BeforeValidator(_number)]
Integer = Annotated[int, BeforeValidator(_number)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Capacity = Annotated[Number, Field(gt=0)]


class DemandSpec(Strict):
    """Where the demand comes from."""

    source: Literal["synthetic", "csv", "parquet", "zenodo"] = "synthetic"
    path: str | None = Field(None, description="file or folder, relative to the scenario's folder")
    train: Annotated[Share, Field(gt=0, lt=1)] = 0.8
    unit: Annotated[
        Literal["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "byte/s"], BeforeValidator(_unit)
    ] = "Mbit/s"
    columns: dict[Literal["time", "link", "internet", "downstream", "sessions", "vpn"], str] = (
        Field(default={}, description="our column name: the file's")
    )
    layout: Literal["long", "wide"] = "long"
    starts: Annotated[datetime | None, BeforeValidator(_time)] = Field(
        None, description="time of the first sample"
    )
    facilities: Annotated[Integer, Field(ge=1, le=100_000)] = Field(
        4, description="number of links of the synthetic source"
    )
    length: Duration = Field(seconds("37d 6h 50min"), description="length of the synthetic source")

    @field_validator("starts")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        try:
            if value is not None and value.tzinfo is not None:
                value.astimezone(UTC)
        except OverflowError:
            raise ValueError("is out of range in UTC") from None
        return value

    @model_validator(mode="after")
    def _path_belongs_to_source(self) -> DemandSpec:
        if self.source == "synthetic" and self.path is not None:
            raise ValueError("'path' needs a source that is read, such as 'source: csv'")
        if self.source == "synthetic" and self.columns:
            raise ValueError("'columns' needs a source that is read, such as 'source: csv'")
        if self.facilities * self.length / 300 > MOST_SAMPLES:
            raise ValueError("'length' times 'facilities' is too much to generate")
        for key in SYNTHETIC_KEYS:
            if self.source != "synthetic" and key in self.model_fields_set:
                raise ValueError(f"'{key}' belongs to 'source: synthetic'")
        if self.source != "synthetic" and self.path is None:
            raise ValueError(f"source '{self.source}' needs a 'path'")
        return self


class Spread(Strict):
    """A time that varies evenly between two."""

    low: Duration
    high: Duration

    @model_validator(mode="after")
    def _in_order(self) -> Spread:
        if self.high < self.low:
            raise ValueError("'high' is less than 'low'")
        return self


def _lead(value: Any) -> Any:
    # A text is a fixed time; anything else has to be a block.
    return value if isinstance(value, dict | Spread) else {"low": value, "high": value}


def _fixed(value: Spread) -> Any:
    low, high = format_duration(value.low), format_duration(value.high)
    return low if value.low == value.high else {"low": low, "high": high}


Amount = Annotated[Number, Field(ge=0, allow_inf_nan=False)]


class LinkSpec(Strict):
    """What is known of a link: its ceiling, and how its allocation can be changed."""

    capacity_mbps: Capacity | None = Field(None, description="physical ceiling; absent: unlimited")
    min: Amount = Field(0.0, description="least allocation, Mbit/s")
    max: Annotated[Number, Field(gt=0)] | None = Field(None, description="greatest, Mbit/s")
    step: Annotated[Amount, Field(gt=0)] | None = Field(
        None, description="allocations are whole numbers of it, Mbit/s: a port, a LAG member"
    )
    lead_time: Annotated[Spread, BeforeValidator(_lead), PlainSerializer(_fixed)] = Field(
        Spread(low=seconds("0s"), high=seconds("0s")),
        description="time from an order to its effect; fixed, or {low: ..., high: ...}",
    )
    cooldown: Duration = Field(seconds("0s"), description="least time between two orders")
    hysteresis_up: Share = Field(0.0, description="a smaller rise is not ordered")
    hysteresis_down: Share = Field(0.0, description="a smaller fall is not ordered")
    change_cost: Amount = Field(0.0, description="cost of an order")

    @model_validator(mode="after")
    def _min_below_max(self) -> LinkSpec:
        if self.max is not None and self.max < self.min:
            raise ValueError("'max' is less than 'min'")
        return self

    def over(self, defaults: LinkSpec) -> LinkSpec:
        """Return this link with `defaults` for the keys that it does not state."""
        stated = {name: getattr(self, name) for name in self.model_fields_set}
        return defaults.model_copy(update=stated)


class ReplaySpec(Strict):
    """The replayed part, measured from the end of the history."""

    start: Duration = seconds("0s")
    duration: Duration | None = Field(None, description="absent: to the end of the trace")

    _takes_time = field_validator("duration")(_longer_than_nothing)


class PricesSpec(Strict):
    """What things cost, in one currency."""

    capacity: Amount = Field(0.0, description="per Mbit/s allocated and hour")
    violated_minute: Amount = Field(0.0, description="per minute with unmet demand, each link")
    unmet_gbit: Amount = Field(0.0, description="per Gbit of unmet demand")


class FallbackSpec(Strict):
    """What decides where a policy fails."""

    use: str
    after: Annotated[Integer, Field(ge=1)] = Field(
        1, description="failures after which it decides for the rest of the replay"
    )
    time_limit: Duration | None = Field(
        None, description="a slower answer is a failure; makes results depend on the machine"
    )


class SlaSpec(Strict):
    """The service level aimed at."""

    target: Share = Field(0.01, description="largest share of violated intervals, per link")


class ScheduleEntry(Strict):
    """One member of a schedule: from when on which policy decides, with its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    from_s: Duration = Field(alias="from")
    use: str

    @property
    def parameters(self) -> dict[str, Any]:
        """What the entry says beyond its own keys."""
        return dict(self.model_extra or {})


class PolicySpec(Strict):
    """One policy: by name, with parameters, or handed over by schedule."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name | None = None
    use: str | None = None
    schedule: tuple[ScheduleEntry, ...] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What the entry says beyond its own keys."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _use_or_schedule(self) -> PolicySpec:
        if (self.use is None) == (self.schedule is None):
            raise ValueError("needs either 'use' or 'schedule'")
        if self.schedule is not None:
            if self.name is None:
                raise ValueError("a schedule needs a 'name'")
            if self.parameters:
                raise ValueError(
                    f"'{next(iter(self.parameters))}' belongs to an entry of the schedule"
                )
            starts = [entry.from_s for entry in self.schedule]
            if not starts or starts[0] != 0:
                raise ValueError("the first entry of a schedule is 'from: 0h'")
            if any(later <= earlier for earlier, later in pairwise(starts)):
                raise ValueError("the entries of a schedule must be in order of 'from'")
        return self


def _policy(value: Any) -> Any:
    return {"use": value} if isinstance(value, str) else value


Targets = Literal["all"] | tuple[str, ...]


def _targets(value: Any) -> Any:
    if isinstance(value, str):
        return value if value == "all" else (value,)
    if not isinstance(value, list | tuple) or any(isinstance(i, dict | list | None) for i in value):
        raise ValueError("must be 'all' or a list of links")
    if not value:
        raise ValueError("names no link; write 'all' or a list of links")
    return tuple(str(item) for item in value)


class EventSpec(Strict):
    """What every event has. `start` counts from the start of the replay."""

    kind: str
    name: Name | None = None
    links: Annotated[Targets, BeforeValidator(_targets)] = "all"
    start: Duration
    duration: Duration | None = Field(None, description="absent: to the end of the replay")

    _takes_time = field_validator("duration")(_longer_than_nothing)


class SurgeSpec(EventSpec):
    """Demand rises: base x factor + add_mbps, over `ramp` at both ends."""

    kind: Literal["surge"]
    duration: Duration
    factor: Annotated[Number, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    add_mbps: Annotated[Number, Field(ge=-1e12, le=1e12, allow_inf_nan=False)] | None = None
    ramp: Duration = seconds("0s")

    @model_validator(mode="after")
    def _changes_something(self) -> SurgeSpec:
        if self.factor is None and self.add_mbps is None:
            raise ValueError("a surge needs 'factor' or 'add_mbps'")
        if 2 * self.ramp > self.duration:
            raise ValueError("'ramp' is longer than half the 'duration'")
        return self


class LinkFailureSpec(EventSpec):
    """Links are down: their capacity is 0, their allocation stays."""

    kind: Literal["link_failure"]


class CapacityChangeSpec(EventSpec):
    """Links have another nominal capacity: an upgrade, or the loss of a part."""

    kind: Literal["capacity_change"]
    capacity_mbps: Capacity | None = None
    factor: Annotated[Number, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> CapacityChangeSpec:
        if (self.capacity_mbps is None) == (self.factor is None):
            raise ValueError("needs either 'capacity_mbps' or 'factor'")
        return self


AnyEvent = Annotated[SurgeSpec | LinkFailureSpec | CapacityChangeSpec, Field(discriminator="kind")]
EVENT_SPECS: dict[str, type[EventSpec]] = {
    "surge": SurgeSpec,
    "link_failure": LinkFailureSpec,
    "capacity_change": CapacityChangeSpec,
}


class ScenarioSpec(Strict):
    """A whole scenario as written, with defaults filled in."""

    name: Name
    seed: Annotated[Integer, Field(ge=0, lt=2**63)] = 1
    tick: Duration = seconds("5min")
    demand: DemandSpec = DemandSpec()
    links: dict[str, LinkSpec] = Field(
        default={}, description="`defaults`, and an entry for each link that differs"
    )
    replay: ReplaySpec = ReplaySpec()
    policies: tuple[Annotated[PolicySpec, BeforeValidator(_policy)], ...]
    sla: SlaSpec = SlaSpec()
    prices: PricesSpec | None = None
    fallback: FallbackSpec | None = None
    events: tuple[AnyEvent, ...] = ()

    @field_validator("policies")
    @classmethod
    def _at_least_one(cls, value: tuple[PolicySpec, ...]) -> tuple[PolicySpec, ...]:
        if not value:
            raise ValueError("is empty")
        return value

    @field_validator("tick")
    @classmethod
    def _divides_a_day(cls, value: float) -> float:
        if value < 1 or value != int(value) or DAY_S % value:
            raise ValueError("must be a whole number of seconds that divides a day")
        return value


def link_specs(spec: ScenarioSpec, links: Sequence[str]) -> list[LinkSpec]:
    """Return what the scenario says of each link, its defaults filled in."""
    defaults = spec.links.get("defaults", LinkSpec())
    return [spec.links.get(link, LinkSpec()).over(defaults) for link in links]


BLOCKS: dict[tuple[int | str, ...], list[str]] = {
    (): list(ScenarioSpec.model_fields),
    ("demand",): list(DemandSpec.model_fields),
    ("links", "*"): list(LinkSpec.model_fields),
    ("replay",): list(ReplaySpec.model_fields),
    ("sla",): list(SlaSpec.model_fields),
    ("prices",): list(PricesSpec.model_fields),
    ("fallback",): list(FallbackSpec.model_fields),
    **{("events", "*", kind): list(spec.model_fields) for kind, spec in EVENT_SPECS.items()},
}
"""The keys of every block, by its place; ``*`` stands for any entry."""
