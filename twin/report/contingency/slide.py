"""The slide of a contingency: under how many failures no link falls short, and the network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from twin.report.contingency.page import verdict
from twin.report.contingency.source import ContingencyData
from twin.report.map.levels import levels_of
from twin.report.map.picture import add_legend, paint
from twin.report.slide import Paint

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sentence_of(data: ContingencyData) -> str:
    """Return what the contingency answers."""
    return verdict(data)[0]


def source_of(data: ContingencyData) -> str:
    """Return what the slide is from."""
    return (
        f"{data.facts['name']}: {len(data.names):,} failures, each at every tick; of each link its "
        f"worst load over the allocation of {data.ordered[0]}"
    )


def picture_of(data: ContingencyData) -> Paint:
    """Return the picture: each link at its worst, under the policy that survives most."""
    return partial(_paint, data)


def _paint(data: ContingencyData, panel: Axes) -> None:
    ratios = np.array([float(row["worst_utilization"]) for row in data.cases(data.ordered[0])])
    paint(panel, data.topology, levels_of(ratios))
    add_legend(panel)
