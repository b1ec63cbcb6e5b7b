"""Findings for and against the paper's method, in sentences made from the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twin.studies.reproduction.formatting import size
from twin.studies.reproduction.measure import PAPER, Measured
from twin.studies.reproduction.published import BASELINE_1, BASELINE_2

if TYPE_CHECKING:
    import pandas as pd

_CHART: Final = 21.0
"""MAE of the published forecast in its author's chart, the lower of the two that are published."""


def findings(measured: Measured, methods: pd.DataFrame) -> list[str]:
    """Return the findings, a paragraph each; `methods` is a row for each method."""
    table = methods.set_index("policy")
    return [
        _waste(measured, table),
        _persistence(measured, table),
        _sla(measured, table),
        _yardstick(table),
        _sizes(measured),
    ]


def _waste(measured: Measured, table: pd.DataFrame) -> str:
    over, efficiency = table["over_provisioning_pct"], table["efficiency_median"]
    first, second = over[BASELINE_1], over[BASELINE_2]
    middle = f"{efficiency[BASELINE_1]:.3f} and {efficiency[BASELINE_2]:.3f}"
    if measured.left_out:
        return (
            f"**Waste: the baselines' part.** Over-provisioning is {first:.0f} % of mean demand "
            f"under mean + 2 sigma and {second:.0f} % under P95; median efficiency is {middle} "
            "(published: 0.474 and 0.543). What the paper claims of its forecast is not tested."
        )
    holds = over[PAPER] < min(first, second)
    return (
        f"**Waste: the paper's claim {'holds' if holds else 'does not hold'}.** "
        f"Over-provisioning is {first:.0f} % of mean demand under mean + 2 sigma, "
        f"{second:.0f} % under P95 and {over[PAPER]:.1f} % under the forecast; median efficiency "
        f"is {middle}, and {efficiency[PAPER]:.3f} (published: 0.474, 0.543 and 0.987)."
    )


def _persistence(measured: Measured, table: pd.DataFrame) -> str:
    mae = table["mae"]
    last = float(mae["last_value"])
    others = mae.drop(index=[*measured.paper_methods.values(), "last_value"])
    if measured.left_out:
        return (
            f"**Persistence errs by {last:.2f} Mbit/s here**, the last value repeated. "
            f"{_published(measured, last)}{_closer(others, last, 'persistence')}"
        )
    own = float(mae[PAPER])
    numbers = f"MAE {own:.2f} against {last:.2f} Mbit/s for the last value repeated"
    if own < last:
        less = f"{1 - own / last:.0%} less"
        here = f"**The AI-enabled DT beats persistence in MAE here**: {numbers}, {less}."
    else:
        times = f", {own / last:.2f} times as much" if last else ""
        here = f"**The AI-enabled DT loses to persistence in MAE**: {numbers}{times}."
    return f"{here} {_published(measured, last)}{_closer(others, own, 'the AI-enabled DT')}"


def _published(measured: Measured, last: float) -> str:
    """Return how the published forecast compares with `last`, the MAE of persistence here."""
    theirs = "~25 (~21 in its author's chart)"
    if measured.public:
        more = "more" if last < _CHART else "not more"
        return (
            f"The MAE of the published forecast is {theirs}, {more} than persistence's on these "
            "data; persistence is not among the paper's methods."
        )
    return (
        f"The published forecast very likely does lose: its MAE is {theirs}, while the series it "
        "forecasts moves by only 9 to 10 from one sample to the next (first two days, read by "
        "eye), which is what persistence would err by; it is not among the paper's methods."
    )


def _closer(others: pd.Series[float], own: float, whom: str) -> str:
    better = others[others < own].sort_values().to_dict()
    closer = ", ".join(f"`{name!s}` ({value:.2f})" for name, value in better.items())
    return f" Closer than {whom}: {closer}." if closer else f" Nothing else is closer than {whom}."


def _sla(measured: Measured, table: pd.DataFrame) -> str:
    rate, median = table["sla_violation_rate"], table["efficiency_median"]
    baselines = f"mean + 2 sigma in {rate[BASELINE_1]:.2%} and P95 in {rate[BASELINE_2]:.2%}"
    if measured.left_out:
        here = f"**SLA compliance.** Demand is left unmet under {baselines} of intervals."
    else:
        last = rate[PAPER] > max(rate[BASELINE_1], rate[BASELINE_2])
        here = (
            f"**SLA compliance: the AI-enabled DT is {'last' if last else 'not last'} of the "
            f"three.** It leaves demand unmet in {rate[PAPER]:.1%} of intervals, {baselines}."
        )
    return (
        f"{here} A point forecast aims at the middle; allocated as it is, an unbiased one falls "
        "short about every second time, and in the paper's own radar (Figure 4) the method is last "
        "on this axis. High efficiency is bought with that, and says little of a model: "
        f"persistence, allocated as it is, reaches a median of {median['last_value']:.3f} and "
        f"violates {rate['last_value']:.1%}."
    )


def _yardstick(table: pd.DataFrame) -> str:
    mae, over = table["mae"], table["over_provisioning_mean_mbps"]
    return (
        "**MAE is no yardstick for a ceiling.** A constant that is meant to lie above the demand "
        f"is charged for doing so: under mean + 2 sigma MAE is {mae[BASELINE_1]:.1f} and mean "
        f"over-provisioning {over[BASELINE_1]:.1f} Mbit/s, the same number twice (published: ~457 "
        "in both figures)."
    )


def _sizes(measured: Measured) -> str:
    text = (
        "**The published sizes of the baselines cannot be theirs.** Each keeps one number for a "
        "link, at most two while it is fitted: 8 bytes, where Table II has 2.00 and 1.00 MB. The "
        "2.69 MB of the forecast are right: 705,665 parameters of 4 bytes"
    )
    if measured.left_out:
        return f"{text}."
    return f"{text}; the model used here takes {size(measured.costs[PAPER].size_mb, ' MB')}."
