"""The file of a day that is over, as it is read: apart from the twin, and said where it is damaged.

A day is one of UTC. Its file is named by the day and the interval that it begins with, counted from
when the live began: `2026-10-07-000288.parquet`. A day in which the twin began anew has several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

DECIDED_BY: Final = "decided_by"
"""Key of what a file says of decisions of fallbacks, counted from its first interval: as JSON
``{policy: {fallback: [intervals]}}``."""
_NAME: Final = re.compile(r"\d{4}-\d\d-\d\d-\d+\.parquet")
_AT_ONCE: Final = 65_536
"""Rows that are read at a time."""
_MAGIC: Final = b"PAR1"
_TAIL: Final = 8
"""Bytes of the length of the footer and the magic number after it."""


class DayContents(NamedTuple):
    """What a file says of itself."""

    intervals: int
    policies: frozenset[str]
    decided_by: Mapping[str, Mapping[str, frozenset[int]]] | None
    """None where it does not say."""


class DayFile:
    """One file; what reads it raises InputError where it is damaged or gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first = int(path.stem[11:])
        """The interval that it begins with, counted from when the live began."""

    @property
    def day(self) -> str:
        """The day of UTC, such as 2026-10-07."""
        return self.path.name[:10]

    @property
    def whole(self) -> bool:
        """Whether it has a beginning and an end; what was cut off has not."""
        try:
            with self.path.open("rb") as stream:
                head, size = stream.read(len(_MAGIC)), stream.seek(0, 2)
                stream.seek(max(size - _TAIL, 0))
                tail = stream.read()
        except OSError:
            return False
        footer = int.from_bytes(tail[:4], "little")
        ends = head == _MAGIC == tail[-len(_MAGIC) :]
        return ends and 0 < footer <= size - len(_MAGIC) - _TAIL

    @property
    def stop(self) -> int:
        """The interval after its last one."""
        return self.first + self.contents.intervals

    @property
    def contents(self) -> DayContents:
        """What it says of itself."""
        with self._reading():
            stat = self.path.stat()
            return _contents(self.path, stat.st_mtime_ns, stat.st_size)

    def table(self, columns: Sequence[str], policy: str | None = None) -> pa.Table:
        """Return some columns, of all policies or of one."""
        import pyarrow.parquet as pq

        filters = None if policy is None else [("policy", "==", policy)]
        with self._reading():
            return pq.read_table(
                self.path, columns=columns, filters=filters, use_threads=False, partitioning=None
            )

    def rows(self, interval: int) -> pa.Table:
        """Return the rows of an interval, counted from when the live began."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with self._reading(), pq.ParquetFile(self.path) as file:
            # Bit by bit: a day of ten thousand links is some gigabytes.
            batches = (
                batch.filter(pc.equal(batch["interval"], interval - self.first))
                for batch in file.iter_batches(_AT_ONCE, use_threads=False)
            )
            return pa.Table.from_batches(batches, file.schema_arrow)

    def arrays(self, policy: str, links: tuple[str, ...], columns: Sequence[str]) -> list[Floats]:
        """Return columns of one policy, [intervals, links] each."""
        found = self.table(["link", *columns], policy)
        intervals = self.contents.intervals
        named = found["link"].take(np.arange(0, found.num_rows, intervals)).to_pylist()
        if tuple(named) != links:
            raise InputError(Problem(f"what was kept of {self.day} is of other links"))
        if found.num_rows != intervals * len(links):
            raise InputError(damaged(self))
        return [by_interval(found, name, 0, intervals, len(links)) for name in columns]

    def decided_by(self, policy: str, interval: int) -> str | None:
        """Return who decided for an interval: the policy or its fallback; None: nobody knows."""
        told = self.contents.decided_by
        if told is None:
            return None
        stood_in = told.get(policy, {}).items()
        at = interval - self.first
        return next((name for name, decided in stood_in if at in decided), policy)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except FileNotFoundError:
            what = f"what was kept of {self.day} is gone"
            raise InputError(
                Problem(what, suggestion="'telemetry.retention' says how long")
            ) from None
        except (pa.ArrowException, OSError, ValueError, KeyError, IndexError):
            raise InputError(damaged(self)) from None


def damaged(file: DayFile) -> Problem:
    """Return what is said of a file that cannot be read."""
    what = f"what was kept of {file.day} is damaged"
    return Problem(what, suggestion=f"restore days/{file.path.name} from a copy, or remove it")


def day_files(folder: Path) -> list[DayFile]:
    """Return the files of days in a folder, the first one first."""
    named = (path for path in folder.glob("*.parquet") if _NAME.fullmatch(path.name))
    return sorted(map(DayFile, named), key=lambda file: file.first)


def kept_before(folder: Path, first: int, policies: Sequence[str]) -> Iterator[DayFile]:
    """Yield what goes back from interval `first` without a hole, the latest file first.

    As long as files are whole and all of the policies decided.
    """
    stop = first
    for file in reversed([each for each in day_files(folder) if each.first < first]):
        try:
            contents = file.contents
        except InputError:
            return
        if file.first + contents.intervals != stop or not contents.policies.issuperset(policies):
            return
        yield file
        stop = file.first


def by_interval(table: pa.Table, name: str, at: int, intervals: int, links: int) -> Floats:
    """Return a column from row `at` on, [intervals, links]; in the file links come one by one."""
    values = table[name].slice(at, intervals * links).to_numpy()
    return np.ascontiguousarray(values.reshape(links, intervals).T)


@lru_cache(maxsize=512)
def _contents(path: Path, _changed_ns: int, _size: int) -> DayContents:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, read_dictionary=["policy"]) as file:
        metadata = file.metadata
        column = metadata.schema.names.index("interval")
        groups = (metadata.row_group(k).column(column) for k in range(metadata.num_row_groups))
        intervals = 1 + int(max(group.statistics.max for group in groups))
        policies = file.read(["policy"], use_threads=False)["policy"].unique().to_pylist()
        told = (metadata.metadata or {}).get(DECIDED_BY.encode())
    decided_by = None
    if told is not None:
        decided_by = {
            policy: {name: frozenset(at) for name, at in by.items()}
            for policy, by in json.loads(told).items()
        }
    return DayContents(intervals, frozenset(policies), decided_by)
