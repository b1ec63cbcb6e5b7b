"""Policies over a whole batch: their means, and how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.batches.statistics import half_width

if TYPE_CHECKING:
    import pandas as pd


def ranking(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a row for each policy, in the order of the table of runs, `runs`.

    Columns: `policy, n, mean, half_width, difference, difference_half_width`. Each replication
    counts with its mean over all points; those that lack a point are left out, so that all
    policies and replications stand on the same ground. The difference is to the first policy.
    Half widths are of Student's 95 % intervals over replications, NaN for a single one.
    """
    import pandas as pd

    done = runs[runs["status"] == "done"]
    policies = list(dict.fromkeys(runs["policy"]))
    by = done.groupby(["replication", "policy"])[metric]
    counts = by.count().groupby("replication").min()
    whole = counts[counts == counts.max()].index
    means = pd.DataFrame({name: by.mean().xs(name, level="policy") for name in policies})
    values = means.loc[whole].to_numpy(dtype=np.float64)
    table = {"policy": policies, "n": len(values)}
    if not len(values):
        values = np.full((1, len(policies)), np.nan)
    difference = values - values[:, :1]
    return pd.DataFrame(
        table
        | {
            "mean": values.mean(axis=0),
            "half_width": half_width(values),
            "difference": difference.mean(axis=0),
            "difference_half_width": half_width(difference),
        }
    )
