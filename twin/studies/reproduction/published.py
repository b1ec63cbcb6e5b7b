"""The paper's numbers, as far as its tables, its text and its author's charts can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BASELINE_1: Final = "static_mean2sigma"
BASELINE_2: Final = "static_p95"
AI: Final = "ai"
"""Key of the AI-enabled DT, for which the model `paper` stands in a reproduction."""

LABELS: Final = {
    BASELINE_1: "Baseline 1 (mean + 2 sigma)",
    BASELINE_2: "Baseline 2 (P95)",
    AI: "AI-enabled DT",
}


@dataclass(frozen=True, slots=True)
class Published:
    """A published number."""

    artefact: str
    quantity: str
    """A key of QUANTITIES."""
    method: str
    value: float
    text: str
    """The value as the paper or its charts give it; ``~`` is read off a chart."""


def _row(artefact: str, quantity: str, **numbers: tuple[float, str]) -> tuple[Published, ...]:
    methods = {"b1": BASELINE_1, "b2": BASELINE_2, "ai": AI}
    return tuple(
        Published(artefact, quantity, methods[name], value, text)
        for name, (value, text) in numbers.items()
    )


PUBLISHED: Final = (
    *_row("Table I", "level_mbps", b1=(803, "~803, inferred"), b2=(701, "~701, inferred")),
    *_row("Table II", "size_mb", b1=(2.0, "2.00"), b2=(1.0, "1.00"), ai=(2.69, "2.69")),
    *_row("Figure 2", "mae", b1=(457, "~457"), b2=(355, "~355"), ai=(25, "~25 (chart ~21)")),
    *_row("Figure 2", "rmse", b1=(489, "~489"), b2=(395, "~395"), ai=(40, "~40 (chart ~37)")),
    *_row(
        "Figure 3",
        "over_provisioning_mean_mbps",
        b1=(457, "> 450 (chart ~457)"),
        b2=(355, "> 350 (chart ~355)"),
        ai=(12, "(chart ~12)"),
    ),
    *_row("Figure 5", "efficiency_mean", ai=(0.95, "~0.95")),
    *_row("Figure 5", "wastage_mean", ai=(0.05, "< 0.05")),
    *_row("Figure 5", "utilization_mean", ai=(1.0, "~1")),
    *_row("Figure 6", "efficiency_q1", b1=(0.23, "0.23"), b2=(0.263, "0.263"), ai=(0.943, "0.943")),
    *_row(
        "Figure 6",
        "efficiency_median",
        b1=(0.474, "0.474"),
        b2=(0.543, "0.543"),
        ai=(0.987, "0.987"),
    ),
    *_row("Figure 6", "efficiency_q3", b1=(0.597, "0.597"), b2=(0.683, "0.683"), ai=(1.0, "1")),
    *_row("Figure 6", "efficiency_max", b1=(0.983, "0.983")),
)

QUANTITIES: Final = {
    "level_mbps": "allocated level, Mbit/s",
    "size_mb": "size, MB",
    "mae": "MAE, Mbit/s",
    "rmse": "RMSE, Mbit/s",
    "over_provisioning_mean_mbps": "mean over-provisioning, Mbit/s",
    "efficiency_mean": "mean efficiency",
    "wastage_mean": "mean wastage",
    "utilization_mean": "mean utilization",
    "efficiency_q1": "efficiency, lower quartile",
    "efficiency_median": "efficiency, median",
    "efficiency_q3": "efficiency, upper quartile",
    "efficiency_max": "efficiency, maximum",
}
"""Quantity: its name with the unit."""

MEMORY: Final = {BASELINE_1: "moderate", BASELINE_2: "lightweight", AI: "heavy"}
"""Memory use as Table II classes it."""

REPLAYED: Final = {
    "mean": (346, "~346"),
    "sigma": (174, "~174"),
    "lower quartile": (184, "~184"),
    "median": (380, "~380"),
    "upper quartile": (479, "~479"),
    "maximum": (789, "~789"),
}
"""The test part's demand, inferred from the published rows: Mbit/s and as read."""

SETUP: Final = {
    "window": "10 samples to 1 step ahead",
    "features": "internet, downstream, sessions, vpn",
    "target": "internet",
    "split": "first 80 % to train, last 20 % to test",
    "validation": "20 % of the training part",
    "network": "BiLSTM 128, 128, 64, with batch normalisation and dropout 0.2; dense 64 and 1",
    "parameters": "705,665",
    "training": "Adam, MSE, learning rate 1e-4 with a scheduler, batch 32, at most 30 epochs, "
    "early stopping (patience 5)",
    "baselines": "constants of the training part: mean + 2 sigma, 95th percentile",
}
"""Table I: the set-up."""
