"""The policies of a batch compared: their means over all points, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.batches.statistics.estimate import estimate
from twin.core.arrays import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd


def ranking(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a row for each policy, in the order of the table of runs, `runs`.

    Columns: `policy, n, mean, half_width, difference, difference_half_width`, as `estimate` makes
    them: every point counts the same, and `n` is the number of replications. The difference is to
    the first policy, run by run. Half widths are of 95 % intervals over replications, NaN where
    there are fewer than two.
    """
    import pandas as pd

    policies = list(dict.fromkeys(runs["policy"]))
    done = runs[runs["status"] == "done"]
    column = done[metric].to_numpy(dtype=np.float64, na_value=np.nan)
    values: Floats = column.reshape(-1, max(len(policies), 1))
    heads = done.iloc[:: max(len(policies), 1)]
    points, replications = point_numbers(heads), heads["replication"].to_numpy(dtype=np.int64)
    means = estimate(values, points, replications)
    difference = estimate(values - values[:, :1], points, replications)
    return pd.DataFrame(
        {
            "policy": policies,
            "n": means.n,
            "mean": means.mean,
            "half_width": means.half_width,
            "difference": difference.mean,
            "difference_half_width": difference.half_width,
        }
    )


def varied(runs: pd.DataFrame) -> list[str]:
    """Return the keys of the scenario that a table of runs has columns of."""
    columns = [str(column) for column in runs.columns]
    return columns[columns.index("run_id") + 1 : columns.index("replication")]


def point_numbers(runs: pd.DataFrame) -> Ints:
    """Return the number of each row's point; rows with the same varied keys have the same."""
    keys = varied(runs)
    if not keys:
        return np.zeros(len(runs), dtype=np.int64)
    groups = runs.groupby(keys, sort=False, dropna=False).ngroup()
    return np.asarray(groups, dtype=np.int64)
