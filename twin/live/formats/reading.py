"""What all formats have in common: bounds, and which of a sample's names mean what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from twin.core.errors import InputError, Problem
from twin.demand.kpis import KPIS
from twin.demand.spec import DemandSpec
from twin.live.samples import KPI, Samples
from twin.scenario.load import Scenario
from twin.telemetry.spec import TelemetrySpec

MOST_BYTES: Final = 64 * 2**20
"""Most bytes of a request's body, once unpacked."""
MOST_SAMPLES: Final = 2_000_000
"""Most samples of a request."""
LONGEST_NAME: Final = 1_000
"""Most characters of the name of a link or a metric."""
_LARGEST_S: Final = 2.0**52 / 1000
"""The latest time whose milliseconds a float holds exactly, seconds."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a twin reads what it is sent."""

    label: str = "link"
    """The label, tag or key that names the link."""
    kpi_of: Mapping[str, str] = field(default_factory=dict)
    """KPIs by the names of metrics that stand for them."""
    demand: DemandSpec = field(default_factory=DemandSpec)
    """How a table is laid out and its times are written."""

    @classmethod
    def of(cls, scenario: Scenario) -> Reading:
        """Return how the twin of a scenario reads."""
        telemetry = scenario.spec.telemetry or TelemetrySpec()
        metrics = {metric: kpi for kpi, metric in telemetry.metrics.items()}
        return cls(telemetry.link, metrics, scenario.spec.demand)

    def kpi(self, metric: str) -> str:
        """Return the KPI that a metric is of: as stated, by its own name, else the demand."""
        if self.kpi_of:
            return self.kpi_of.get(metric, metric)
        return metric if metric in KPIS else KPI


class Columns:
    """Samples that are collected one by one."""

    def __init__(self) -> None:
        """Begin without any."""
        self.links: list[str] = []
        self.kpis: list[str] = []
        self.times_s: list[float] = []
        self.values: list[float] = []

    def add(self, link: str, kpi: str, time_s: float, value: float) -> None:
        """Add a sample. Raises InputError for one too many, a name too long, and no time."""
        if len(self.values) >= MOST_SAMPLES:
            raise InputError(f"holds more than {MOST_SAMPLES} samples; send fewer at a time")
        if len(link) > LONGEST_NAME or len(kpi) > LONGEST_NAME:
            raise InputError(f"holds a name of more than {LONGEST_NAME} characters")
        if not abs(time_s) <= _LARGEST_S:
            raise InputError(f"{time_s:.15g} is no time in seconds since 1970")
        self.links.append(link)
        self.kpis.append(kpi)
        self.times_s.append(time_s)
        self.values.append(value)

    def samples(self) -> Samples:
        """Return them all."""
        return Samples.of(self.links, self.times_s, self.values, self.kpis)


def refuse_large(data: bytes) -> None:
    """Raise InputError for a body that is too large."""
    if len(data) > MOST_BYTES:
        raise InputError(f"has {len(data)} bytes, more than {MOST_BYTES}; send less at a time")


def at_line(number: int, error: Exception | str) -> InputError:
    """Return what is wrong with a line of a text, counted from 1."""
    return InputError(Problem(str(error), f"line {number}"))


Format = Callable[[bytes, Reading], Samples]
"""Reads the body of a request. Raises InputError."""
