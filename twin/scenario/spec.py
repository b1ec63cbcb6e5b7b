"""The scenario language: one frozen model per block of the YAML file, unknown keys refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from twin.account.prices import PricesSpec
from twin.core.fields import Integer, Name, Strict, longer_than_nothing
from twin.core.units import DAY_S, Duration, Share, format_duration, seconds
from twin.demand.matrix_spec import MatrixSpec
from twin.demand.spec import DemandSpec
from twin.engine.links import EnergySpec, LinkSpec
from twin.engine.upgrade import UpgradeSpec
from twin.events.base import AnyEvent, event_kinds
from twin.telemetry.spec import TelemetrySpec
from twin.topology.spec import ConnectionSpec, SiteSpec, TopologySpec


class ReplaySpec(Strict):
    """The replayed part, measured from the end of the history."""

    start: Duration = Field(
        seconds("0s"), description="where it begins, from the end of the history", examples=["12h"]
    )
    duration: Duration | None = Field(
        None, description="how long it is; absent: to the end of the trace", examples=["7d"]
    )

    _takes_time = field_validator("duration")(longer_than_nothing)


class FallbackSpec(Strict):
    """What decides where a policy fails."""

    use: str = Field(description="a policy, by name or path", examples=["rolling_max"])
    after: Annotated[Integer, Field(ge=1)] = Field(
        1,
        description="number of failures after which it decides for the rest of the replay",
        examples=[3],
    )
    time_limit: Duration | None = Field(
        None,
        description="a slower answer is a failure; makes results depend on the machine",
        examples=["2s"],
    )


class SlaSpec(Strict):
    """The service level aimed at."""

    target: Share = Field(
        0.01, description="largest share of violated intervals, per link", examples=["0.1%"]
    )
    period: Duration | None = Field(
        None,
        description="the target is to be held in each; absent: over the replay",
        examples=["30d"],
    )

    _takes_time = field_validator("period")(longer_than_nothing)


class ScheduleEntry(Strict):
    """One member of a schedule: from when on which policy decides, with its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    from_s: Duration = Field(
        alias="from",
        description="when it takes over, from the start of the replay; of the first: 0h",
        examples=["12h"],
    )
    use: str = Field(description="the policy, by name or path", examples=["static_p95"])

    @property
    def parameters(self) -> dict[str, Any]:
        """What the entry says beyond its own keys."""
        return dict(self.model_extra or {})


class PolicySpec(Strict):
    """One policy: by name, with parameters, or handed over by schedule."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name | None = Field(
        None, description="what tables call it; absent: the name in `use`", examples=["p99"]
    )
    use: str | None = Field(
        None,
        description="the policy, by name or path; its parameters follow as keys of the same block",
        examples=["static_percentile"],
    )
    schedule: tuple[ScheduleEntry, ...] | None = Field(
        None, description="instead of `use`: policies that hand over to each other, in order"
    )

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


def policy_entry(value: Any) -> Any:
    """Return the entry of a policy that may be written as its bare name."""
    return {"use": value} if isinstance(value, str) else value


class RoutingSpec(Strict):
    """How flows are carried."""

    by: Literal["shortest_path", "ecmp"] | None = Field(
        None,
        description="of a matrix: over one shortest path by weight, or split equally over all; "
        "absent: shortest_path",
    )
    detection_delay: Duration = Field(
        seconds("0s"),
        description="time from a failure or repair until traffic takes other paths; "
        "what has changed back before then is never seen",
        examples=["30s"],
    )


def _routing(value: Any) -> Any:
    return {"by": value} if isinstance(value, str) else value


def _short_routing(routing: RoutingSpec | None) -> Any:
    """Return it as a scenario states it."""
    if routing is None:
        return None
    if not routing.detection_delay:
        return routing.by
    delay = {"detection_delay": format_duration(routing.detection_delay)}
    return delay if routing.by is None else {"by": routing.by, **delay}


class ScenarioSpec(Strict):
    """A whole scenario as written, with defaults filled in."""

    name: Name = Field(
        description="of the run, and of its folder; absent: the file's",
        examples=["stadium-evening"],
    )
    seed: Annotated[Integer, Field(ge=0, lt=2**63)] = Field(
        1, description="number that all random draws follow from", examples=[7]
    )
    tick: Duration = Field(
        seconds("5min"),
        description="length of an interval, which divides a day; a finer trace is averaged to it",
        examples=["15min"],
    )
    demand: DemandSpec = Field(DemandSpec(), description="where the demand comes from")
    topology: TopologySpec | None = Field(
        None, description="sites and links of a network; absent: links alone"
    )
    routing: Annotated[
        RoutingSpec | None, BeforeValidator(_routing), PlainSerializer(_short_routing)
    ] = Field(
        None,
        description="how demand from site to site is carried; absent: over one shortest path",
        examples=["ecmp"],
    )
    backup: dict[str, dict[str, Share]] = Field(
        {},
        description="of links that are flows: where the traffic of a link goes when it fails, "
        "by the name of the link; the rest is unrouted",
        examples=[{"A>B": {"A>C": "60%"}}],
    )
    risk_groups: dict[Name, tuple[str, ...]] = Field(
        {},
        description="links that fail together, by the name of the group",
        examples=[{"conduit-7": ["A>B", "C>D"]}],
    )
    links: dict[str, LinkSpec] = Field(
        default={},
        description="`defaults`, and an entry for each link that differs",
        examples=[{"defaults": {"capacity_mbps": 10000}}],
    )
    replay: ReplaySpec = Field(
        ReplaySpec(), description="the part of the trace that is replayed, by default all of it"
    )
    policies: tuple[Annotated[PolicySpec, BeforeValidator(policy_entry)], ...] = Field(
        description="what decides allocations: each by its name, or a block with its parameters; "
        "all meet the same demand",
        examples=[["static_p95", "conformal"]],
    )
    sla: SlaSpec = Field(SlaSpec(), description="the service level aimed at")
    prices: PricesSpec | None = Field(
        None, description="what things cost; absent: nothing is ranked by cost"
    )
    fallback: Annotated[
        FallbackSpec | None,
        BeforeValidator(policy_entry, json_schema_input_type=str | FallbackSpec | None),
    ] = Field(
        None,
        description="what decides where a policy fails, by name or as a block; absent: a stop",
        examples=["rolling_max"],
    )
    time_limit: Duration | None = Field(
        None, description="a run that takes longer fails", examples=["10min"]
    )
    events: tuple[AnyEvent, ...] = Field(
        (), description="what happens to the network; each has a `kind`"
    )
    telemetry: TelemetrySpec | None = Field(
        None, description="how a living twin takes its samples; a replay ignores it"
    )

    @property
    def capacities(self) -> dict[str, float]:
        """The capacities that are stated, Mbit/s, by link and of `defaults`."""
        stated = {name: link.capacity_mbps for name, link in self.links.items()}
        return {name: mbps for name, mbps in stated.items() if mbps is not None}

    @field_validator("policies")
    @classmethod
    def _at_least_one(cls, value: tuple[PolicySpec, ...]) -> tuple[PolicySpec, ...]:
        if not value:
            raise ValueError("is empty")
        return value

    @model_validator(mode="after")
    def _a_matrix_is_routed(self) -> ScenarioSpec:
        if self.topology is None and self.demand.matrix is not None:
            raise ValueError("'demand.matrix' needs a 'topology' to route it over")
        if self.topology is None and self.demand.flows is not None:
            raise ValueError("'demand.flows' needs a 'topology' to route them over")
        if self.topology is None and self.demand.source == "matrix":
            raise ValueError("'source: matrix' needs a 'topology' to route it over")
        if self.routing is not None and not (self.is_routed or self.backup):
            raise ValueError(
                "'routing' belongs to 'source: matrix', or to a matrix estimated or generated"
            )
        if self.backup and self.is_routed:
            raise ValueError("'backup' is of links; demand from site to site is routed anew")
        if self.backup and self.routing is not None and self.routing.by is not None:
            raise ValueError("'routing.by' belongs to demand from site to site")
        if self.is_generated and "facilities" in self.demand.model_fields_set:
            raise ValueError("'demand.facilities' are links alone; the 'topology' has its own")
        if self.demand.busiest is not None and not self.is_generated:
            raise ValueError("'demand.busiest' is of a matrix generated over a 'topology'")
        if self.risk_groups and self.topology is None:
            raise ValueError("'risk_groups' need a 'topology'")
        return self

    @property
    def splits(self) -> bool:
        """Whether flows are split equally over all shortest paths."""
        return self.routing is not None and self.routing.by == "ecmp"

    @property
    def is_generated(self) -> bool:
        """Whether its demand is a matrix that is generated."""
        return self.demand.source == "synthetic" and self.topology is not None

    @property
    def is_routed(self) -> bool:
        """Whether its demand is from site to site, and is routed over the links."""
        demand = self.demand
        matrix = demand.source == "matrix" or demand.matrix is not None
        return matrix or demand.flows is not None or self.is_generated

    @property
    def is_collected(self) -> bool:
        """Whether it has no trace: a living twin collects its demand."""
        return self.demand.source == "telemetry"

    @field_validator("backup")
    @classmethod
    def _at_most_all(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for link, backups in value.items():
            if link in backups:
                raise ValueError(f"'{link}' is its own backup")
            total = sum(backups.values())
            if total > 1 + 1e-9:
                raise ValueError(f"of '{link}', {100 * total:.15g}% would be moved; at most 100%")
        return value

    @field_validator("tick")
    @classmethod
    def _divides_a_day(cls, value: float) -> float:
        if value < 1 or value != int(value) or DAY_S % value:
            raise ValueError("must be a whole number of seconds that divides a day")
        return value


def blocks() -> dict[tuple[int | str, ...], list[str]]:
    """Return the keys of every block, by its place; ``*`` stands for any entry."""
    kinds: dict[tuple[int | str, ...], list[str]] = {
        ("events", "*", kind): [field.alias or key for key, field in spec.model_fields.items()]
        for kind, spec in event_kinds().items()
    }
    return {
        (): list(ScenarioSpec.model_fields),
        ("routing",): list(RoutingSpec.model_fields),
        ("demand",): list(DemandSpec.model_fields),
        ("demand", "matrix"): list(MatrixSpec.model_fields),
        ("demand", "extend"): ["for", "repeat"],
        ("topology",): list(TopologySpec.model_fields),
        ("topology", "links", "*"): list(ConnectionSpec.model_fields),
        ("topology", "sites", "*"): list(SiteSpec.model_fields),
        ("links", "*"): list(LinkSpec.model_fields),
        ("links", "*", "energy"): list(EnergySpec.model_fields),
        ("links", "*", "upgrade"): list(UpgradeSpec.model_fields),
        ("replay",): list(ReplaySpec.model_fields),
        ("sla",): list(SlaSpec.model_fields),
        ("prices",): list(PricesSpec.model_fields),
        ("fallback",): list(FallbackSpec.model_fields),
        ("telemetry",): list(TelemetrySpec.model_fields),
        **kinds,
    }
