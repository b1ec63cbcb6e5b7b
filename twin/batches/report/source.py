"""The data of the report of a batch, read from the files in its folder alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.account.catalogue import METRICS
from twin.batches.execute.folder import MANIFEST, RUNS, read_batch
from twin.batches.statistics.best import best_frame
from twin.batches.statistics.estimate import Estimate, estimate, point_means
from twin.batches.statistics.ranking import point_numbers
from twin.core.arrays import Floats, Ints
from twin.core.errors import InputError, Problem, one_line
from twin.report.colours import looks_of

if TYPE_CHECKING:
    import pandas as pd

RATE, OVER, COST = "sla_violation_rate", "over_provisioning_pct", "cost"
BURN = "worst_burn_rate"


@dataclass(frozen=True)
class BatchData:
    """The results of a batch. Arrays are over the runs that did not fail, then over policies."""

    facts: dict[str, Any]
    """The manifest, `batch.json`."""
    runs: pd.DataFrame
    """The table of runs, a row for each run and policy."""
    _values: dict[str, Floats] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, folder: Path) -> BatchData:
        """Return the data in the folder of a batch. Raises InputError."""
        import pyarrow.lib

        file = folder / MANIFEST
        try:
            file.stat()
            facts = read_batch(folder)
            if facts is None:
                raise ValueError("is not a block of keys in JSON")
            file = folder / RUNS
            batch = cls(facts, _table(file, facts["sha256"].get(RUNS)))
            batch.check()
        except FileNotFoundError:
            remedy = "'twin batch' with the batch's sweep makes it"
            raise InputError(Problem("is missing", file=file, suggestion=remedy)) from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError,
                pyarrow.lib.ArrowException) as error:  # fmt: skip
            what = f"cannot be read: {one_line(str(error)) or type(error).__name__}"
            remedy = "'twin batch' with the batch's sweep makes it again"
            raise InputError(Problem(what, file=file, suggestion=remedy)) from None
        return batch

    def check(self) -> None:
        """Raise ValueError where the table of runs does not belong to this batch."""
        needed = {"run_id", *self.keys, "replication", "seed", "policy", "status", "error"}
        lacking = (needed | {RATE, OVER, COST, BURN}) - {str(name) for name in self.runs.columns}
        if lacking:
            raise ValueError(f"has no column '{min(lacking)}'")
        for name in ("replication", "seed", *METRICS):
            wrong = name in self.runs.columns and not _are_numbers(self.runs[name])
            if wrong or (name not in METRICS and self.runs[name].isna().any()):
                raise ValueError(f"column '{name}' holds what is no number")
        rows = self.runs["policy"].to_numpy(dtype=object)
        if len(rows) % len(self.policies) or (
            (rows.reshape(-1, len(self.policies)) != np.array(self.policies, dtype=object)).any()
        ):
            raise ValueError(f"its policies are not those of {MANIFEST}")

    @property
    def name(self) -> str:
        """The sweep's name."""
        return str(self.facts["name"])

    @cached_property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies, in the scenario's order."""
        return tuple(str(name) for name in self.facts["policies"])

    @cached_property
    def looks(self) -> dict[str, int]:
        """The number of each policy's look."""
        return looks_of(self.policies)

    @cached_property
    def bounds(self) -> frozenset[str]:
        """Policies that see the future: shown, never ranked."""
        return frozenset(str(name) for name in self.facts["bounds"])

    @cached_property
    def ranked(self) -> tuple[int, ...]:
        """Places of the policies that are not bounds."""
        return tuple(i for i, name in enumerate(self.policies) if name not in self.bounds)

    @property
    def links(self) -> int:
        """Number of links of a run."""
        return int(self.facts.get("links", 1))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The varied keys."""
        return tuple(str(key) for key in self.facts["keys"])

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that have a number in any run, as cost has none without prices."""
        return tuple(
            name for name in METRICS if name in self.runs.columns and self.runs[name].notna().any()
        )

    @cached_property
    def done_runs(self) -> pd.DataFrame:
        """A row for each run that is done: its id, keys, replication and seed."""
        return self._first_rows("done")

    @cached_property
    def failed_runs(self) -> pd.DataFrame:
        """A row for each run that failed, with its error."""
        return self._first_rows("failed")

    @cached_property
    def points(self) -> Ints:
        """The number of each run's point."""
        return point_numbers(self.done_runs)

    @cached_property
    def replications(self) -> Ints:
        """The number of each run's replication."""
        return self.done_runs["replication"].to_numpy(dtype=np.int64)

    @cached_property
    def most_replications(self) -> int:
        """The largest number of runs that any point has."""
        return int(np.bincount(self.points).max()) if len(self.points) else 0

    @property
    def finished_points(self) -> int:
        """Number of points with a run that is done."""
        return int(self.points.max()) + 1 if len(self.points) else 0

    def values(self, metric: str) -> Floats:
        """Return a metric, [runs, policies]; NaN where it has no number."""
        if metric not in self._values:
            done = self.runs.loc[(self.runs["status"] == "done").to_numpy(), metric]
            values = done.to_numpy(dtype=np.float64, na_value=np.nan)
            self._values[metric] = values.reshape(-1, len(self.policies))
        return self._values[metric]

    def mean(self, metric: str) -> Estimate:
        """Return the mean of a metric over all points, for each policy."""
        return estimate(self.values(metric), self.points, self.replications)

    def difference(self, metric: str, other: int = 0) -> Estimate:
        """Return the mean paired difference of each policy to another."""
        values = self.values(metric)
        return estimate(values - values[:, other, None], self.points, self.replications)

    def at_points(self, metric: str) -> Floats:
        """Return the mean of a metric at each point, [points, policies]."""
        return point_means(self.values(metric), self.points, self.finished_points)

    @cached_property
    def mean_burn(self) -> Floats:
        """The mean share of its worst link's error budget that is used, [points, policies]."""
        return self.at_points(BURN)

    @cached_property
    def deciding(self) -> str:
        """The metric that decides among who keeps the SLA: cost, or over-provisioning."""
        costs = self.values(COST)
        return COST if costs.size and np.isfinite(costs).all() else OVER

    @cached_property
    def best(self) -> pd.DataFrame:
        """The best policy at each point, as best.csv."""
        return best_frame(self.runs, self.bounds)

    def _first_rows(self, status: str) -> pd.DataFrame:
        columns = ["run_id", *self.keys, "replication", "seed", "status", "error"]
        heads = self.runs.iloc[:: len(self.policies)][columns]
        return heads[(heads["status"] == status).to_numpy()].reset_index(drop=True)


def _are_numbers(column: pd.Series[Any]) -> bool:
    return all(isinstance(v, int | float | np.number) or v is None for v in column.unique())


def _table(file: Path, digest: str | None) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = file.read_bytes()
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"it is not the one that {MANIFEST} is of")
    table: pd.DataFrame = pq.read_table(pa.BufferReader(data)).to_pandas(integer_object_nulls=True)
    return table
