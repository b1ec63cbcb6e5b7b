"""Dominance: who does no worse than another policy in anything, and better in something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

WEIGHED: Final = ("sla_violation_minutes", "over_provisioning_pct")
"""What is weighed against each other: the less of both, the better."""


def dominated(pooled: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return by whom each policy is dominated, in the order of the rows.

    `pooled` has a row for each policy, named by its index. A policy dominates another with at most
    as many violated minutes and at most as much over-provisioning, and less of one of them. One
    without a value, where there was no demand, neither dominates nor is dominated.
    """
    names, values = [str(name) for name in pooled.index], pooled[list(WEIGHED)].to_numpy()
    no_worse = np.all(values[:, None] <= values[None], axis=2)
    better = np.any(values[:, None] < values[None], axis=2)
    beaten = np.asarray(no_worse & better).T
    return {
        name: tuple(other for other, beats in zip(names, row.tolist(), strict=True) if beats)
        for name, row in zip(names, beaten, strict=True)
    }
