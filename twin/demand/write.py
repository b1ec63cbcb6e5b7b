"""Writes traces as files from which the same numbers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twin.core.arrays import Floats
from twin.core.files import replacing


def write_csv(path: Path, links: Sequence[str], kpis: Mapping[str, Floats], step_s: int) -> Path:
    """Write KPIs [samples, links], `step_s` seconds apart, as long CSV; return `path`.

    Rows without any value are left out; a missing value beside others is an empty cell. Numbers
    read back exactly. The file is gzipped if its name ends in ``.gz``, and appears whole or not
    at all. Raises OSError.
    """
    import pyarrow as pa
    from pyarrow import csv

    table = _table(links, kpis, step_s)
    packing = "gzip" if path.suffix == ".gz" else None
    # Arrow's own "needed" quotes every text.
    quoting = "needed" if any(set(link) & set(',"\r\n') for link in links) else "none"
    options = csv.WriteOptions(include_header=False, quoting_style=quoting)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as unfinished,
        pa.output_stream(str(unfinished), compression=packing) as out,
    ):
        out.write((",".join(table.column_names) + "\n").encode())
        csv.write_csv(table, out, options)
    return path


def write_parquet(
    path: Path, links: Sequence[str], kpis: Mapping[str, Floats], step_s: int
) -> Path:
    """Write KPIs [samples, links], `step_s` seconds apart, as long Parquet; return `path`.

    As :func:`write_csv`, with null for a missing value beside others.
    """
    from pyarrow import parquet

    table = _table(links, kpis, step_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        parquet.write_table(table, unfinished)
    return path


def _table(links: Sequence[str], kpis: Mapping[str, Floats], step_s: int) -> Any:
    """Return a row for each sample and link that has any value, by time, then link."""
    import pyarrow as pa

    shape = next(iter(kpis.values())).shape
    known = np.zeros(shape, bool)
    for values in kpis.values():
        known |= ~np.isnan(values)
    sample, code = np.nonzero(known)
    names = pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), pa.array(list(links)))
    columns = {"time": pa.array(sample * step_s), "link": names.cast(pa.string())}
    for name, values in kpis.items():
        columns[name] = pa.array(values[known], from_pandas=True)
    return pa.table(columns)
