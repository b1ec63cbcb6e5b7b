"""The interval table: a row for each policy, link and interval, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from twin.account.block import AccountBlock, blocks
from twin.account.energy import LinkPower
from twin.engine.recording import Recording

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS_IN_GROUP = 1_000_000


def interval_table(
    recording: Recording,
    starts: datetime | None = None,
    power: LinkPower | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Return the whole table in memory.

    With times where the first interval `starts` at one, and watts where links have a `power`.
    """
    import pandas as pd

    batches = interval_batches(recording, starts, power, timezone)
    parts: list[pd.DataFrame] = [batch.to_pandas() for batch in batches]
    return pd.concat(parts, ignore_index=True)


def interval_batches(
    recording: Recording,
    starts: datetime | None = None,
    power: LinkPower | None = None,
    timezone: str | None = None,
) -> Iterator[pa.Table]:
    """Yield the table in order, some links of one policy at a time."""
    import pyarrow as pa

    schema = interval_schema(starts, watts=power is not None, timezone=timezone)
    for lane in recording.lanes:
        for block in blocks(recording, lane, power=power):
            columns = _columns(lane.name, block, recording.tick_s, starts)
            yield pa.table(columns, schema=schema)


def write_intervals(
    recording: Recording,
    file: Path | BinaryIO,
    starts: datetime | None = None,
    power: LinkPower | None = None,
    timezone: str | None = None,
    said: Mapping[str, str] | None = None,
) -> None:
    """Write the table as Parquet, in memory that does not grow with it.

    What else is `said` of it goes into the metadata of the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = interval_schema(starts, watts=power is not None, timezone=timezone)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for table in interval_batches(recording, starts, power, timezone):
            waiting.append(table)
            if sum(t.num_rows for t in waiting) >= _ROWS_IN_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
        if said is not None:
            writer.add_key_value_metadata(dict(said))


def interval_schema(
    starts: datetime | None = None, *, watts: bool = False, timezone: str | None = None
) -> pa.Schema:
    """Return the columns and their types; `time` is there where the first interval has one.

    It is kept in UTC, and shown as clocks in `timezone` show it.
    """
    import pyarrow as pa

    floats = (
        "start_s demand_mbps requested_mbps allocated_mbps capacity_mbps served_mbps unmet_mbps "
        "efficiency wastage utilization over_provisioning_mbps violation_s"
    )
    return pa.schema(
        [
            ("policy", pa.string()),
            ("link", pa.string()),
            ("interval", pa.int64()),
            *((name, pa.float64()) for name in floats.split()),
            ("sla_violation", pa.bool_()),
            *([] if starts is None else [("time", pa.timestamp("us", timezone or _zone(starts)))]),
            *([("watts", pa.float64())] if watts else []),
        ]
    )


def _zone(starts: datetime) -> str | None:
    return None if starts.tzinfo is None else "UTC"


def _columns(
    policy: str, block: AccountBlock, tick_s: int, starts: datetime | None
) -> dict[str, Any]:
    import pyarrow as pa

    links, intervals = block.demand.shape
    interval = np.tile(np.arange(intervals), links)
    metrics = block.metrics
    capacity = np.full(block.demand.shape, np.inf) if block.capacity is None else block.capacity
    names = pa.array(block.links).take(pa.array(np.repeat(np.arange(links), intervals)))
    columns = {
        "policy": pa.repeat(policy, links * intervals),
        "link": names,
        "interval": interval,
        "start_s": (interval * tick_s).astype(np.float64),
        "demand_mbps": block.demand.ravel(),
        "requested_mbps": np.broadcast_to(block.requested, block.demand.shape).ravel(),
        "allocated_mbps": np.broadcast_to(block.allocated, block.demand.shape).ravel(),
        "capacity_mbps": capacity.ravel(),
        "served_mbps": metrics.served.ravel(),
        "unmet_mbps": metrics.unmet.ravel(),
        "efficiency": metrics.efficiency.ravel(),
        "wastage": metrics.wastage.ravel(),
        "utilization": metrics.utilization.ravel(),
        "over_provisioning_mbps": metrics.over_provisioning.ravel(),
        "violation_s": metrics.violation_s.ravel(),
        "sla_violation": metrics.violation_s.ravel() > 0,
    }
    if block.watts is not None:
        columns["watts"] = block.watts.ravel()
    if starts is not None:
        utc = starts if starts.tzinfo is None else starts.astimezone(UTC).replace(tzinfo=None)
        columns["time"] = np.datetime64(utc, "us") + interval * np.timedelta64(tick_s, "s")
    return columns
