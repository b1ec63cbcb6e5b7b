"""The keys of a sweep, which say what runs a batch holds."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from twin.account.summary import COLUMNS
from twin.core.errors import Loc, did_you_mean, show
from twin.core.fields import Integer, Name, Number, Strict
from twin.core.units import as_float, duration, share

MOST_RUNS = 1_000_000
"""The most runs that a batch may hold."""

METRICS = COLUMNS[2:]
"""The columns of the summary that are metrics, without policy and link."""
COUNTS = (
    "intervals", "missing_intervals", "infinite_utilization_intervals", "violation_episodes",
    "allocation_changes", "fallback_intervals", "sla_allowed_intervals", "sla_used_intervals",
)  # fmt: skip
"""Metrics that are counts."""

Truth = Annotated[bool, Field(strict=True)]
Key = Annotated[str, Field(min_length=1)]
Seed = Annotated[Integer, Field(ge=0, lt=2**63)]
Count = Annotated[Integer, Field(ge=1, le=MOST_RUNS)]


def _value(limit: Any) -> tuple[str, float]:
    """Return the kind and the number of one end of a range: a number, a share or a duration."""
    if isinstance(limit, bool) or not isinstance(limit, str | int | float):
        raise ValueError(f"must be a number, a share or a duration, not {show(limit)}")
    if not isinstance(limit, str):
        return "number", as_float(limit)
    if limit.rstrip().endswith("%"):
        return "share", share(limit)
    return "duration", duration(limit)


class RangeSpec(Strict):
    """The values that a key is drawn from: a range of numbers, shares or durations, or a list."""

    low: Any = Field(
        None, description="least value: a number, a share or a duration", examples=["1%"]
    )
    high: Any = Field(None, description="greatest value, of the same kind", examples=["10%"])
    scale: Literal["linear", "log"] = Field(
        "linear", description="whether values are even, or their logarithms"
    )
    whole: Truth = Field(False, description="whole numbers alone, both ends included")
    values: tuple[Any, ...] | None = Field(
        None, description="instead of a range: values that are drawn from", examples=[[1.2, 1.8]]
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> RangeSpec:
        if self.values is not None:
            if self.low is not None or self.high is not None:
                raise ValueError("needs either 'values' or 'low' and 'high'")
            if not self.values:
                raise ValueError("'values' is empty")
            return self
        if self.low is None or self.high is None:
            raise ValueError("needs 'low' and 'high', or 'values'")
        (kind, low), (other, high) = _value(self.low), _value(self.high)
        if kind != other:
            raise ValueError(f"'low' is a {kind} and 'high' a {other}")
        if not math.isfinite(high - low):
            raise ValueError("'low' and 'high' must be finite, and less far apart")
        if not low < high:
            raise ValueError("'high' must be greater than 'low'")
        if self.scale == "log" and low <= 0:
            raise ValueError("'low' must be greater than 0 on a log scale")
        if self.whole and (kind != "number" or low % 1 or high % 1):
            raise ValueError("'whole' needs whole numbers as 'low' and 'high'")
        return self

    @property
    def kind(self) -> str:
        """``number``, ``share`` or ``duration``."""
        return _value(self.low)[0]

    @property
    def ends(self) -> tuple[float, float]:
        """The range as numbers; durations in seconds."""
        return _value(self.low)[1], _value(self.high)[1]


class SamplesSpec(Strict):
    """Points that are drawn at random, for all keys together."""

    samples: Count = Field(description="number of points", examples=[200])
    seed: Seed = Field(1, description="number that the draws follow from", examples=[7])
    keys: Annotated[dict[Key, RangeSpec], Field(min_length=1)] = Field(
        description="keys of the scenario, each with the range that it is drawn from",
        examples=[{"events.0.factor": {"low": 1.2, "high": 3}}],
    )


class UntilSpec(Strict):
    """When a point has had enough replications."""

    metric: str = Field(description="a column of `summary.csv`", examples=["over_provisioning_pct"])
    policy: str | None = Field(
        None, description="whose metric it is; absent: of every policy", examples=["conformal"]
    )
    half_width: Annotated[Number, Field(gt=0)] = Field(
        description="of the 95 % interval of the metric's mean over replications", examples=[0.5]
    )
    difference: Truth = Field(
        False, description="of the paired difference to the first policy, rather than the mean"
    )
    block: Annotated[Integer, Field(ge=2)] = Field(
        5, description="replications before the first look, and between two", examples=[10]
    )

    @field_validator("metric")
    @classmethod
    def _is_measured(cls, value: str) -> str:
        if value not in METRICS:
            hint = did_you_mean(value, METRICS) or "see 'summary.csv'"
            raise ValueError(f"no metric '{value}'; {hint}")
        return value


class SweepSpec(Strict):
    """A whole sweep as written, with defaults filled in."""

    name: Name = Field(
        description="of the batch, and of its folder; absent: the file's", examples=["surge-sweep"]
    )
    scenario: str = Field(
        description="the scenario, by path beside the sweep or by the name of a shipped one",
        examples=["surge"],
    )
    policies: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None, description="as after --policies", examples=[["static_p95", "conformal"]]
    )
    set: dict[Key, Any] = Field(
        {},
        description="keys of the scenario that all runs change",
        examples=[{"replay.duration": "2d"}],
    )
    replications: Count = Field(
        1, description="number of runs of each point; with 'until', at the most", examples=[30]
    )
    grid: dict[Key, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        {},
        description="values of each key, all with all",
        examples=[{"sla.target": ["0.1%", "1%"]}],
    )
    points: tuple[Annotated[dict[Key, Any], Field(min_length=1)], ...] = Field(
        (),
        description="points one by one, each a block of keys with their values",
        examples=[[{"tick": "15min", "seed": 3}]],
    )
    random: SamplesSpec | None = Field(
        None, description="points that are drawn, each key by itself"
    )
    latin_hypercube: SamplesSpec | None = Field(
        None, description="points that are drawn so that each key's range is covered evenly"
    )
    until: UntilSpec | None = Field(
        None, description="when a point has had enough replications; absent: all are run"
    )
    intervals: Truth = Field(False, description="keep every interval of every run")

    @property
    def places(self) -> list[tuple[str, Loc]]:
        """Every key of the scenario that the sweep sets, and where in the sweep."""
        drawn = "random" if self.random else "latin_hypercube"
        samples = self.random or self.latin_hypercube
        listed = {key: ("points", i, key) for i, point in enumerate(self.points) for key in point}
        return [
            *((key, ("set", key)) for key in self.set),
            *((key, ("grid", key)) for key in self.grid),
            *listed.items(),
            *((key, (drawn, "keys", key)) for key in (samples.keys if samples else ())),
        ]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the scenario that differ between points, in the order they are written."""
        return tuple(key for key, place in self.places if place[0] != "set")


BLOCKS: dict[tuple[int | str, ...], list[str]] = {
    (): list(SweepSpec.model_fields),
    ("random",): list(SamplesSpec.model_fields),
    ("latin_hypercube",): list(SamplesSpec.model_fields),
    ("random", "keys", "*"): list(RangeSpec.model_fields),
    ("latin_hypercube", "keys", "*"): list(RangeSpec.model_fields),
    ("until",): list(UntilSpec.model_fields),
}
"""The keys of every block, by its place; ``*`` stands for any entry."""
