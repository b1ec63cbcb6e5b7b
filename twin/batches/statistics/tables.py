"""The tables of a batch, made from its journal in the order of its plan.

They do not depend on which worker ran what, or when: the same batch gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from twin.batches.execute.journal import Journal
from twin.batches.plan.identity import seed_of
from twin.batches.plan.plan import Plan, PlannedPoint
from twin.batches.plan.spec import COUNTS, METRICS
from twin.batches.statistics.stopping import wanted_replications

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS_IN_GROUP: Final = 5_000


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One run as the journal has it, be it done or failed."""

    run_id: str
    point: PlannedPoint
    replication: int
    seed: int
    facts: dict[str, Any]

    @property
    def done(self) -> bool:
        """Whether it did not fail."""
        return self.facts["rows"] is not None


def finished(plan: Plan, journal: Journal, point: PlannedPoint) -> Iterator[FinishedRun]:
    """Yield the runs of a point that are wanted and finished, in order of replications."""
    for replication in range(wanted_replications(plan, journal, point)):
        run_id = plan.run_id(point, replication)
        if journal.status(run_id) is not None:
            seed = seed_of(plan.seed, replication)
            yield FinishedRun(run_id, point, replication, seed, journal.read(run_id))


def run_tables(plan: Plan, journal: Journal) -> Iterator[pa.Table]:
    """Yield the table of runs, a row for each run and policy, some rows at a time."""
    schema = run_schema(plan)
    rows: list[tuple[Any, ...]] = []
    for point in plan.points:
        for run in finished(plan, journal, point):
            rows += _rows(plan, run)
            if len(rows) >= _ROWS_IN_GROUP:
                yield _table(rows, schema)
                rows = []
    if rows or not plan.points:
        yield _table(rows, schema)


def run_schema(plan: Plan) -> pa.Schema:
    """Return the columns of the table of runs and their types."""
    import pyarrow as pa

    return pa.schema(
        [
            ("run_id", pa.string()),
            *((key, _type(plan, key)) for key in plan.spec.keys),
            ("replication", pa.int64()),
            ("seed", pa.int64()),
            ("policy", pa.string()),
            ("status", pa.string()),
            ("error", pa.string()),
            *((name, pa.int64() if name in COUNTS else pa.float64()) for name in METRICS),
        ]
    )


def run_frame(plan: Plan, journal: Journal) -> pd.DataFrame:
    """Return the whole table of runs in memory."""
    import pyarrow as pa

    tables = list(run_tables(plan, journal))
    schema = run_schema(plan)
    frame: pd.DataFrame = pa.concat_tables([schema.empty_table(), *tables]).to_pandas()
    return frame


def value_at(plan: Plan, point: PlannedPoint, key: str) -> Any:
    """Return what a table shows for a key at a point: a number, true or false, or the YAML text.

    None where the point leaves the key as the scenario has it.
    """
    if key not in point.keys:
        return None
    value, kind = point.keys[key], plan.kinds[key]
    return _text(value) if kind == "text" else float(value) if kind == "float64" else value


def _rows(plan: Plan, run: FinishedRun) -> Iterator[tuple[Any, ...]]:
    values = tuple(value_at(plan, run.point, key) for key in plan.spec.keys)
    head = (run.run_id, *values, run.replication, run.seed)
    for i, policy in enumerate(plan.policies):
        if run.done:
            yield (*head, policy, "done", "", *run.facts["rows"][i])
        else:
            nothing = (None,) * len(METRICS)
            yield (*head, policy, "failed", run.facts["error"], *nothing)


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _type(plan: Plan, key: str) -> pa.DataType:
    import pyarrow as pa

    kinds = {"bool": pa.bool_, "int64": pa.int64, "float64": pa.float64, "text": pa.string}
    return kinds[plan.kinds[key]]()


def _text(value: Any) -> str:
    """Return a value as it can be typed after `--set KEY=`."""
    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n...\n").rstrip("\n")
