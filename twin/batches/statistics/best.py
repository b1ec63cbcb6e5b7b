"""The best policy at each point of a batch, and what it saves."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from twin.batches.statistics.intervals import half_width
from twin.batches.statistics.ranking import point_numbers, varied
from twin.core.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd

COST, OVER, WORST = "cost", "over_provisioning_pct", "worst_burn_rate"
KEPT: Final = 1 + 1e-12
"""Up to this burn rate of its worst link a policy keeps the SLA on every link."""
MEASURES: Final = (
    "policy", "by", "value", "runs", "runs_kept", "policies_kept", "first", "first_kept",
    "saving_to_first", "half_width_to_first", "sure_to_first", "next", "saving_to_next",
    "half_width_to_next", "sure_to_next",
)  # fmt: skip
"""The columns for a point, after the varied keys. `policy` is the best, empty where none keeps the
SLA; savings are means over replications of what the other has more of the metric `by`, with half of
Student's 95 % interval; `sure` is empty where there is no interval."""


class Saving(NamedTuple):
    """What the best has less than another policy, run by run."""

    mean: float
    half_width: float
    sure: bool | None
    """Whether the interval leaves out 0; None where there is no interval."""


def saving(values: Floats, best: int, other: int) -> Saving:
    """Return how much more `other` has than `best`, of values [runs, policies]."""
    apart = values[:, other] - values[:, best]
    width = float(half_width(apart[:, None])[0])
    mean = float(apart.mean())
    # Replications that are all the same, as where nothing is random, tell nothing of chance.
    unknown = np.isnan(width) or (width == 0 and mean != 0)
    return Saving(mean, width, None if unknown else abs(mean) > width)


def best_frame(runs: pd.DataFrame, bounds: Collection[str] = ()) -> pd.DataFrame:
    """Return a row for each point with a finished run, of the table of runs, in its order.

    Columns: the varied keys, and :data:`MEASURES`. Of the policies that keep the SLA on every link
    the best costs least, or over-provisions least where the point has no prices. A policy keeps it
    where the burn rate of the worst link, as a mean over replications, is at most 1. `bounds` take
    no part.
    """
    import pandas as pd

    keys, policies = varied(runs), list(dict.fromkeys(runs["policy"]))
    done = runs[(runs["status"] == "done").to_numpy()]
    count = max(len(policies), 1)
    heads = done.iloc[::count]
    columns = {
        name: done[name].to_numpy(dtype=np.float64, na_value=np.nan).reshape(-1, count)
        for name in (COST, OVER, WORST)
    }
    points = point_numbers(heads)
    rows = []
    for point in range(int(points.max()) + 1 if len(points) else 0):
        mine = points == point
        values = {name: column[mine] for name, column in columns.items()}
        head = heads.iloc[int(np.argmax(mine))]
        rows.append([*(head[key] for key in keys), *_best(values, policies, bounds)])
    return pd.DataFrame(rows, columns=[*keys, *MEASURES])


def _best(
    values: dict[str, Floats], policies: list[str], bounds: Collection[str]
) -> tuple[Any, ...]:
    by = COST if np.isfinite(values[COST]).all() else OVER
    burn, metric = np.nan_to_num(values[WORST]), np.nan_to_num(values[by])
    ranked = [i for i, name in enumerate(policies) if name not in bounds]
    kept = burn.mean(axis=0) <= KEPT
    order = sorted((i for i in ranked if kept[i]), key=lambda i: (metric[:, i].mean(), i))
    nothing = Saving(np.nan, np.nan, None)
    if not order:
        first = (ranked or [0])[0]
        return ("", by, np.nan, len(metric), 0, 0, policies[first], False, *nothing, "", *nothing)
    best, first = order[0], ranked[0]
    after = saving(metric, best, order[1]) if len(order) > 1 else nothing
    to_first = nothing if best == first else saving(metric, best, first)
    return (
        policies[best], by, float(metric[:, best].mean()), len(metric),
        int((burn[:, best] <= KEPT).sum()), len(order), policies[first], bool(kept[first]),
        *to_first, policies[order[1]] if len(order) > 1 else "", *after,
    )  # fmt: skip
