"""A series of capacities: a radio link in rain, interference."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from twin.core.errors import InputError, Problem, show
from twin.core.fields import Capacity, Number, Strict
from twin.core.units import Duration, Seconds, duration, format_duration
from twin.events.base import Change, Event, LinkEvent, Phase, Refusal
from twin.events.capacity_change import Limit, Unlimit
from twin.events.scope import Scope

MOST = 100_000
"""Points that a profile may have."""


class ProfilePoint(Strict):
    """What the capacity is from a time on."""

    at: Duration = Field(description="when, from the start of the event", examples=["8h"])
    capacity_mbps: Capacity | None = Field(
        None, description="capacity from then on, Mbit/s", examples=[40000]
    )
    factor: Annotated[Number, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="number that capacity is multiplied by, instead", examples=[0.5]
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> ProfilePoint:
        if (self.capacity_mbps is None) == (self.factor is None):
            raise ValueError("needs either 'capacity_mbps' or 'factor'")
        return self


class CapacityProfile(LinkEvent):
    """Links have one nominal capacity after the other, each until the next point.

    The last one holds to the end of the event. Beside changes of capacity it counts as one of them
    that began when it did: of several stated capacities the latest to begin holds; factors
    multiply.
    """

    kind: Literal["capacity_profile"] = "capacity_profile"
    points: tuple[ProfilePoint, ...] = Field((), description="in order of `at`, the first at 0s")
    path: str | None = Field(
        None,
        description="instead of points: a CSV with `time` (seconds or such as 5min, from the start "
        "of the event) and `capacity_mbps` or `factor`",
        examples=["night-limits.csv"],
    )

    @model_validator(mode="after")
    def _in_order(self) -> CapacityProfile:
        if (self.path is None) == (not self.points):
            raise ValueError("needs either 'points' or 'path'")
        if wrong := _out_of_order(self.points):
            raise ValueError(f"'points' must {wrong}")
        return self

    def read(self, folder: Path) -> Self:
        """Return it with the points of its file. Raises InputError, with the line."""
        if self.path is None:
            return self
        points = read_profile(folder / self.path)
        return self.model_copy(update={"points": points, "path": None})

    def refusals(self, scope: Scope) -> Iterator[Refusal]:  # noqa: ARG002
        """Yield why it cannot happen here."""
        if self.path is not None:
            what = "is relative to a scenario's file, and there is none"
            yield Refusal("path", what, "write 'points'")

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield what it does to the links, and when."""
        links, end = scope.mask(self.links), self.end(scope.horizon)
        for i, point in enumerate(self.points):
            time = self.begins + point.at
            if time < end:
                factor = 1.0 if point.factor is None else point.factor
                limit = Limit(scope.key, self.begins, links, point.capacity_mbps, factor)
                yield Change(time, Phase.START, limit, "" if i else "start")
        if end < scope.horizon:
            yield Change(end, Phase.END, Unlimit(scope.key), "end")

    @property
    def rivals(self) -> Hashable:
        """What it has in common with the events that it may clash with."""
        return self.kind, self.start

    def clashes(self, earlier: Event, links: Sequence[str]) -> Iterator[str]:
        """Yield the links whose capacity both state from the same time on."""
        scope = Scope(tuple(links), tuple(links), 0.0, 0, "")
        if isinstance(earlier, CapacityProfile):
            both = scope.mask(self.links) & scope.mask(earlier.links)
            for place in np.flatnonzero(both).tolist():
                yield f"sets the capacity of '{links[place]}' at the same time as"


def _out_of_order(points: Sequence[ProfilePoint]) -> str:
    """Return what is wrong with the times of points; empty where nothing is."""
    if points and points[0].at != 0:
        return f"begin at 0s, not at {format_duration(points[0].at)}"
    for earlier, later in pairwise(points):
        if later.at <= earlier.at:
            times = f"{format_duration(later.at)} after {format_duration(earlier.at)}"
            return f"be in order of time, not {times}"
    return ""


def read_profile(path: Path) -> tuple[ProfilePoint, ...]:
    """Return the points of a CSV file. Raises InputError, with the line of what is wrong."""

    def refuse(what: str, line: int | None = None, suggestion: str = "") -> InputError:
        return InputError(Problem(what, "", path, line, suggestion))

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise refuse("no such file") from None
    except UnicodeDecodeError:
        raise refuse("is not text in UTF-8") from None
    rows = csv.reader(text.splitlines())
    header = [name.strip() for name in next(rows, [])]
    values = [name for name in ("capacity_mbps", "factor") if name in header]
    if "time" not in header or len(values) != 1:
        said = f"columns {', '.join(header[:6])}" if header else "is empty"
        raise refuse(said, 1, "needs 'time' and either 'capacity_mbps' or 'factor'")
    points: list[ProfilePoint] = []
    for row in rows:
        line = rows.line_num
        if len(row) != len(header):
            raise refuse(f"has {len(row)} cells, not {len(header)}", line)
        if len(points) == MOST:
            raise refuse(f"has more than {MOST:,} points", line)
        cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
        time, value = _seconds(cells["time"]), _positive(cells[values[0]])
        if time is None:
            raise refuse(
                f"time: {show(cells['time'])} is no time", line, "write seconds, or '5min'"
            )
        if value is None:
            raise refuse(f"{values[0]}: {show(cells[values[0]])} is no number above 0", line)
        points.append(ProfilePoint.model_validate({"at": Seconds(time), values[0]: value}))
        if len(points) == 1 and points[0].at != 0:
            raise refuse(f"time: must {_out_of_order(points)}", line)
        if len(points) > 1 and points[-1].at <= points[-2].at:
            raise refuse("time: is not after that of the row before", line)
    if not points:
        raise refuse("has no points")
    return tuple(points)


def _seconds(text: str) -> float | None:
    """Return the seconds of a time in a profile, None where it is none."""
    try:
        return float(text) if 0 <= float(text) < np.inf else None
    except ValueError:
        pass
    try:
        return duration(text)
    except ValueError:
        return None


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < np.inf else None
