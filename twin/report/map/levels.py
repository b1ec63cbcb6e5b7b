"""Utilization as a map shows it: a colour and a width for each of a few levels."""

from __future__ import annotations

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.report.html.markup import Html, tag, text
from twin.report.style import ORANGE, VERMILION

LEVELS = (0.25, 0.5, 0.75, 0.95, 1.0, 1.5)
"""Utilizations up to which each level but the last reaches."""
COLOURS = ("#A9B4BD", "#8FB8D8", "#4A90C2", "#1F5A91", ORANGE, VERMILION, "#7A2E00")
"""The colour of each level, as in `map.css`; its width tells it without colour."""
WIDTHS = (1.6, 2.4, 3.2, 4.2, 5.4, 7.0, 8.6)
"""The width of each level, as in `map.css`."""
NAMES = (
    "up to 25 %",
    "to 50 %",
    "to 75 %",
    "to 95 %",
    "to 100 %",
    "over 100 %: short",
    "over 150 %",
)


def levels_of(utilization: Floats) -> Ints:
    """Return the level of each utilization, 0 to 6; what is not known has level 0."""
    known = np.nan_to_num(utilization, nan=0.0, posinf=np.inf)
    # Equal is not above: a demand that meets its allocation is served.
    return np.asarray(np.searchsorted(LEVELS, known, side="left"))


def legend_of_levels() -> Html:
    """Return the legend of a map."""
    entries = [_entry(f"link u{level}", name) for level, name in enumerate(NAMES)]
    return tag("ul", *entries, _entry("link down", "down"), class_="keys levels")


def _entry(class_: str, name: str) -> Html:
    line = tag("path", d="M0 5H26", class_="track")
    key = tag("svg", tag("g", line, class_=class_), class_="key", viewBox="0 0 26 10",
              aria_hidden="true")  # fmt: skip
    return tag("li", key, text(f" {name}"))
