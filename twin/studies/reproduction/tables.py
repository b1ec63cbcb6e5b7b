"""The numbers of every table and figure, published and measured, as the CSV files hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.core.units import counted
from twin.studies.reproduction.measure import PAPER, Measured
from twin.studies.reproduction.published import (
    AI,
    BASELINE_1,
    BASELINE_2,
    LABELS,
    MEMORY,
    PUBLISHED,
    QUANTITIES,
    REPLAYED,
    SETUP,
)

if TYPE_CHECKING:
    import pandas as pd

RADAR = {
    "mae": ("MAE", -1),
    "rmse": ("RMSE", -1),
    "efficiency_mean": ("efficiency", 1),
    "sla_compliance": ("SLA compliance", 1),
    "cost_efficiency": ("cost efficiency", 1),
}
"""Axes of Figure 4: the name of each, and 1 where more is better, -1 where less is."""

FIGURES = {
    2: ("mae", "rmse"),
    3: ("over_provisioning_mean_mbps",),
    5: ("efficiency_mean", "wastage_mean", "utilization_mean"),
    6: ("efficiency_q1", "efficiency_median", "efficiency_q3", "efficiency_max"),
}
"""Quantities that each figure of plain numbers shows."""


def label(policy: str) -> str:
    """Return the name of a policy in tables: the paper's, or else its own."""
    return {**LABELS, PAPER: LABELS[AI], "last_value": "persistence"}.get(policy, policy)


def methods(measured: Measured) -> pd.DataFrame:
    """Return the results of every method, a row each, the paper's first.

    Columns of the summary, and `method`, `level_mbps` (of the constants), quartiles of
    efficiency, `sla_compliance` (share of intervals without violation), `cost_efficiency` (sum of
    demand over sum of allocation), and `mase` with its 95 % interval (MAE over persistence's).
    """
    import pandas as pd

    table = measured.summary.drop(columns="link")
    order = [*measured.paper_methods.values(), "last_value"]
    table = table.loc[[*order, *(name for name in table.index if name not in order)]]
    intervals = measured.result.intervals.dropna(subset="demand_mbps").groupby("policy")
    efficiency = intervals["efficiency"]
    for name, q in (("q1", 0.25), ("q3", 0.75), ("max", 1.0)):
        table[f"efficiency_{name}"] = efficiency.quantile(q)
    sums = intervals[["demand_mbps", "allocated_mbps"]].sum()
    table["cost_efficiency"] = sums["demand_mbps"] / sums["allocated_mbps"]
    table["sla_compliance"] = 1 - table["sla_violation_rate"]
    constants = [BASELINE_1, BASELINE_2]
    table["level_mbps"] = table["allocated_mean_mbps"].where(table.index.isin(constants))
    pooled = measured.evaluation.pooled.set_index("model")
    pooled = pooled.rename(index={"persistence": "last_value"})
    table["mase"] = table["mae"] / float(table["mae"]["last_value"])
    table = table.join(pooled[["mase_low", "mase_high"]])
    names = pd.Series({policy: label(policy) for policy in table.index}, name="method")
    return table.assign(method=names, data=measured.data).reset_index()


def comparison(measured: Measured, by_method: pd.DataFrame) -> pd.DataFrame:
    """Return each published number with the measured one, and its relative difference.

    Those of a method that is left out are left out too. `by_method` is what :func:`methods`
    returned.
    """
    import pandas as pd

    values = by_method.set_index("policy")
    rows = []
    for entry in PUBLISHED:
        if entry.method not in measured.paper_methods:
            continue
        policy = measured.paper_methods[entry.method]
        stored = entry.quantity == "size_mb"
        own = measured.costs[policy].size_mb if stored else float(values[entry.quantity][policy])
        rows.append(
            {
                "artefact": entry.artefact,
                "method": label(policy),
                "policy": policy,
                "quantity": QUANTITIES[entry.quantity],
                "published": entry.value,
                "published_as": entry.text,
                "measured": own,
                "relative_difference": own / entry.value - 1,
                "data": measured.data,
            }
        )
    return pd.DataFrame(rows)


def table_1(measured: Measured, compared: pd.DataFrame) -> pd.DataFrame:
    """Return Table I: the set-up, the levels of the constants, and the demand of the test part."""
    import pandas as pd

    own_setup = setup(measured)
    rows: list[tuple[object, ...]] = [
        (item, text, own_setup[item], None) for item, text in SETUP.items() if item in own_setup
    ]
    rows += [
        (
            f"{row['method']}: {row['quantity']}",
            row["published_as"],
            f"{row['measured']:.2f}",
            row["relative_difference"],
        )
        for row in compared[compared["artefact"] == "Table I"].to_dict("records")
    ]
    demand = measured.replayed
    own = {
        "mean": demand.mean(),
        "sigma": demand.std(),
        **dict(zip(("lower quartile", "median", "upper quartile", "maximum"),
                   np.quantile(demand, [0.25, 0.5, 0.75, 1]), strict=True)),
    }  # fmt: skip
    for item, (value, text) in REPLAYED.items():
        name = f"demand of the test part: {item}, Mbit/s"
        rows.append((name, f"{text}, inferred", f"{own[item]:.2f}", own[item] / value - 1))
    table = pd.DataFrame(rows, columns=["item", "published", "here", "relative_difference"])
    return table.assign(data=measured.data)


def setup(measured: Measured) -> dict[str, str]:
    """Return the set-up of Table I as it is here, without that of a model that is left out."""
    span = measured.result.scenario.span
    both = {
        "split": f"first {span.history} samples to train, last {span.intervals} to test",
        "baselines": "the same",
    }
    if measured.left_out:
        return both
    card = measured.models[PAPER].card
    channels: tuple[str, ...] = getattr(card.normalisation, "channels", ())
    trained_on = card.trained_on.partition(", sha256")[0]
    return {
        **both,
        "window": f"{card.window} samples to {counted(card.steps[-1], 'step')} ahead",
        "features": ", ".join((*card.features, *channels)),
        "target": card.features[0],
        "validation": f"{card.validation.windows} windows (card of {card.name})",
        "network": f"{card.name}: recipe {card.recipe}",
        "parameters": f"{card.parameters:,}",
        "training": f"{card.epochs} epochs, seed {card.seed}, on {trained_on}",
    }


def table_2(measured: Measured, by_method: pd.DataFrame) -> pd.DataFrame:
    """Return Table II: the costs of each method, published and measured, and its errors.

    MB are of 2**20 bytes; latencies are medians on one thread; memory is the peak of a fresh
    process. Memory and latency differ from run to run. `by_method` is what :func:`methods`
    returned.
    """
    import pandas as pd

    errors = by_method.set_index("policy")[["mae", "mase"]]

    published = {entry.method: entry.value for entry in PUBLISHED if entry.quantity == "size_mb"}
    by_policy = {policy: method for method, policy in measured.paper_methods.items()}
    rows = []
    order = [*by_policy, *(name for name in measured.costs if name not in by_policy)]
    for policy in order:
        cost, method = measured.costs[policy], by_policy.get(policy, "")
        rows.append(
            {
                "method": label(policy),
                "policy": policy,
                "published_size_mb": published.get(method),
                "size_mb": cost.size_mb,
                "published_memory": MEMORY.get(method, ""),
                "peak_memory_mb": cost.peak_mb,
                "peak_memory_1000_links_mb": cost.peak_1000_mb,
                "tick_1_link_ms": cost.tick_ms,
                "tick_1000_links_ms": cost.tick_1000_ms,
                "multiply_adds": cost.multiply_adds,
                "parameters": cost.parameters,
                "mae": errors["mae"][policy],
                "mae_over_persistence": errors["mase"][policy],
                "data": measured.data,
            }
        )
    return pd.DataFrame(rows).astype({"multiply_adds": "Int64"})


def figure_1(measured: Measured) -> pd.DataFrame:
    """Return the KPIs over time, hours since the first sample."""
    import pandas as pd

    scenario = measured.result.scenario
    trace = scenario.trace
    hours = np.arange(trace.samples) * trace.tick_s / 3600
    kpis = {name: values[:, 0] for name, values in trace.kpis.items()}
    part = np.where(np.arange(trace.samples) < scenario.span.history, "train", "test")
    return pd.DataFrame({"hours": hours, "part": part} | kpis | {"data": measured.data})


def figure(number: int, measured: Measured, by_method: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers of figure 2, 3, 5 or 6 for every method, published and measured."""
    import pandas as pd

    by_policy = {policy: method for method, policy in measured.paper_methods.items()}
    published = {(entry.method, entry.quantity): entry for entry in PUBLISHED}
    rows = []
    for record in by_method.to_dict("records"):
        method = by_policy.get(record["policy"], "")
        for quantity in FIGURES[number]:
            entry = published.get((method, quantity))
            own = record[quantity]
            rows.append(
                {
                    "method": record["method"],
                    "policy": record["policy"],
                    "quantity": quantity,
                    "published": entry.value if entry else np.nan,
                    "published_as": entry.text if entry else "",
                    "measured": own,
                    "relative_difference": own / entry.value - 1 if entry else np.nan,
                    "data": measured.data,
                }
            )
    return pd.DataFrame(rows)


def figure_4(measured: Measured, by_method: pd.DataFrame) -> pd.DataFrame:
    """Return the radar: each axis min-max normalised over the paper's methods, 1 for the best."""
    import pandas as pd

    values = by_method.set_index("policy").loc[list(measured.paper_methods.values())]
    rows = []
    for quantity, (name, sign) in RADAR.items():
        signed = sign * values[quantity]
        low, span = signed.min(), signed.max() - signed.min()
        for policy, value in signed.items():
            rows.append(
                {
                    "method": label(str(policy)),
                    "policy": policy,
                    "axis": name,
                    "value": sign * value,
                    "normalised": (value - low) / span if span else 1.0,
                    "data": measured.data,
                }
            )
    return pd.DataFrame(rows)
