"""Traces from DataFrames: a time index or column, and a column for each link or long rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from twin.core.errors import InputError, Loc, Problem, show
from twin.core.units import DAY_S, duration
from twin.core.validation import problems_of
from twin.demand.grid import grid
from twin.demand.gridded import Ticks, in_ticks_of
from twin.demand.locations import Location
from twin.demand.rows import Rows, rows
from twin.demand.spec import DemandSpec

if TYPE_CHECKING:
    import pandas as pd

ORIGIN = "a DataFrame"


class _FrameColumns:
    """The columns of a DataFrame, as those of a file are read."""

    def __init__(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa

        self.file = Path("DataFrame")
        self.header: int | None = None
        self.names: Sequence[str] = [str(name) for name in frame.columns]
        try:
            self._table = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError) as error:
            what = f"cannot be read: {' '.join(str(error).split())}"
            raise InputError(Problem(what, file=self.file)) from None

    def load(self, wanted: Sequence[str], repeated: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Return the `wanted` columns as Arrow arrays."""
        return {name: self._table.column(name) for name in wanted}

    def locate(self, row: int) -> Location:
        """Return the location of a row, counted from 0."""
        return Location(self.file, row + 1, is_line=False)


class FrameTrace(NamedTuple):
    """What a DataFrame holds."""

    links: tuple[str, ...]
    tick_s: int
    ticks: Ticks
    digest: str


def read_frame(
    frame: pd.DataFrame, unit: str, columns: Mapping[str, str] | None, tick: str | None
) -> FrameTrace:
    """Return the trace that a DataFrame holds; see :meth:`twin.Trace.from_frame`."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"from_frame() takes a DataFrame, not {show(frame)}")
    renaming: Any = columns
    if renaming is not None and not isinstance(renaming, Mapping):
        what = f"must be a mapping of our names to the frame's, not {show(renaming)}"
        raise InputError(Problem(what, "columns"))
    frame, time = _with_time_column(frame, dict(columns or {}))
    names = {str(name) for name in frame.columns}
    renamed = dict(columns or {})
    long = bool({"link", "internet"} & names or {"link", "internet"} & set(renamed))
    stated = {"time": time} | {key: name for key, name in renamed.items() if key != "time"}
    try:
        demand = DemandSpec.model_validate(
            {
                "source": "csv",
                "path": "DataFrame",
                "unit": unit,
                "columns": stated,
                "layout": "long" if long else "wide",
            }
        )
    except ValidationError as error:
        known: dict[Loc, list[str]] = {(): ["unit", "columns"]}
        raise InputError(problems_of(error, prefix=("from_frame",), known=known)) from None
    samples = rows(_FrameColumns(frame), demand)
    tick_s = _step_s(samples) if tick is None else _stated(tick)
    gridded = grid(samples, tick_s)
    digest = hashlib.sha256("\0".join(samples.links).encode())
    for values in gridded.kpis.values():
        digest.update(np.ascontiguousarray(values).tobytes())
    ticks = in_ticks_of(gridded, demand, tick_s)
    return FrameTrace(samples.links, tick_s, ticks, digest.hexdigest())


def _with_time_column(frame: pd.DataFrame, columns: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Return the frame with times in a column, and the name of that."""
    import pandas as pd

    time = columns.get("time", "time")
    frame = frame.rename(columns=str)
    if time in frame.columns:
        return frame, time
    index = frame.index
    if isinstance(index, pd.MultiIndex):
        return frame.reset_index().rename(columns=str), time
    dated = isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex)
    if not dated and index.name != time:
        what = f"no column '{time}', and the index holds no times"
        remedy = "give it a DatetimeIndex, or name the column: columns={'time': ...}"
        raise InputError(Problem(what, file="DataFrame", suggestion=remedy))
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    times: Any = index
    if isinstance(index, pd.TimedeltaIndex):
        times = index.total_seconds()
    frame = frame.reset_index(drop=True)
    frame.insert(0, time, np.asarray(times) if not dated else pd.Series(times))
    return frame, time


def _step_s(samples: Rows) -> int:
    """Return the most frequent time between two samples, in whole seconds that divide a day."""
    times = np.unique(samples.times.ticks)
    if len(times) < 2:
        what = "holds samples at fewer than two times, so there is no step"
        raise InputError(Problem(what, file="DataFrame"))
    steps, counts = np.unique(np.diff(times), return_counts=True)
    step_s = int(steps[counts.argmax()]) / samples.times.per_second
    if step_s < 1 or step_s != int(step_s) or DAY_S % step_s:
        what = f"has a step of {step_s:g} s, which does not divide a day"
        raise InputError(Problem(what, file="DataFrame", suggestion="state a tick: tick='5min'"))
    return int(step_s)


def _stated(tick: str) -> int:
    try:
        seconds = duration(tick)
    except ValueError as error:
        raise InputError(Problem(str(error), "tick")) from None
    if seconds < 1 or seconds != int(seconds) or DAY_S % seconds:
        raise InputError(Problem("must be a whole number of seconds that divides a day", "tick"))
    return int(seconds)
