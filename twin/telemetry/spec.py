"""The block `telemetry` of a scenario: how a living twin takes its samples."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from twin.core.errors import show
from twin.core.fields import Name, Strict, longer_than_nothing
from twin.core.units import MBPS, Duration, seconds


def _url(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"https?://[^\s@]+", value):
        what = "must begin with http:// or https:// and hold no password"
        raise ValueError(f"{what}, not {show(value)}")
    return value


class TelemetrySpec(Strict):
    """How a living twin takes its samples, and what it keeps of them. A replay ignores it."""

    prometheus: Annotated[str | None, BeforeValidator(_url)] = Field(
        None,
        description="address of a Prometheus server that is asked; absent: samples are sent",
        examples=["http://prometheus:9090"],
    )
    query: str | None = Field(
        None,
        description="what Prometheus is asked: PromQL with one series for each link",
        examples=["8 * rate(ifHCInOctets[5m])"],
    )
    link: Name = Field(
        "link",
        description="the label that names the link, of sent samples as well",
        examples=["ifName"],
    )
    metrics: dict[Literal["internet", "downstream", "sessions", "vpn"], str] = Field(
        {},
        description="our KPI: the name of the metric with it; absent: a metric called as a KPI is "
        "that one, any other the demand",
        examples=[{"internet": "ifHCInOctets"}],
    )
    every: Duration | None = Field(
        None, description="how often samples come, and Prometheus is asked; absent: every tick"
    )
    kind: Literal["rate", "counter"] = Field("rate", description="rates, or counters that grow")
    bits: Literal[32, 64] | None = Field(None, description="size of the counters, bits; absent: 64")
    unit: Literal["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "byte/s"] | None = Field(
        None, description="of what comes; absent: that of the demand, and byte/s of counters"
    )
    grace: Duration | None = Field(
        None,
        description="how long after its end an interval waits for samples; absent: a tenth of the "
        "tick, at most 1min",
    )
    late: Duration = Field(
        seconds("6h"), description="how long after its end a sample still changes the account"
    )
    enough: Duration = Field(
        seconds("2d"),
        description="history that is collected before all policies are taken to have enough of it, "
        "where the scenario has no trace",
    )
    keep: Duration = Field(
        seconds("28d"),
        description="history that policies are fitted on when twice as much has come and the twin "
        "begins anew",
    )
    retention: Duration = Field(
        seconds("90d"), description="how long what was decided, and came, is kept on disk"
    )

    _takes_time = field_validator("every", "enough", "keep", "retention")(longer_than_nothing)

    @model_validator(mode="after")
    def _asked_with_a_query(self) -> TelemetrySpec:
        if (self.prometheus is None) != (self.query is None):
            there, missing = ("query", "prometheus")[:: 1 if self.prometheus is None else -1]
            raise ValueError(f"'{there}' needs '{missing}'")
        if self.prometheus is not None and self.every is not None and self.every % 1:
            raise ValueError("'every' must be whole seconds for Prometheus, at least 1")
        if self.bits is not None and self.kind != "counter":
            raise ValueError("'bits' belongs to 'kind: counter'")
        return self

    def grace_s(self, tick_s: float) -> float:
        """Return how long an interval of `tick_s` waits, seconds."""
        return min(tick_s / 10, 60.0) if self.grace is None else float(self.grace)

    def unit_mbps(self, demand_unit: str) -> float:
        """Return Mbit/s in one of the unit of what comes."""
        if self.unit is not None:
            return MBPS[self.unit]
        return MBPS["byte/s" if self.kind == "counter" else demand_unit]
