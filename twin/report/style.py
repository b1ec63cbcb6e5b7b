"""How pictures look: the palette, and the style that all plots share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart.
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
PINK: Final = "#CC79A7"
BLACK: Final = "#000000"

OLIVE: Final = "#8C8C00"
"""In the place of the palette's yellow, which is too pale for a thin line."""
INK: Final = "#222222"
GREY: Final = "#777777"
SHADE: Final = "#BBBBBB"

POLICY_COLOURS: Final = (BLUE, ORANGE, GREEN, PINK, SKY, OLIVE)
"""Colours of policies (`colours.py`); vermilion is kept for violations."""
DASHES: Final = ("", "7 3", "2 3")
"""Dashes of policies, which tell those of one colour apart."""


@contextmanager
def plot_style(*, grid: bool = False) -> Iterator[None]:
    """Draw in the shared style; with `grid` every panel has one."""
    from matplotlib import rc_context

    style: Any = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": grid,
        "grid.alpha": 0.25,
        # A dollar sign in a name begins no formula.
        "text.parse_math": False,
    }
    with rc_context(style):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, `width` by `height` inches, that fits its parts together."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def add_title(figure: Figure, title: str) -> None:
    """Write the title of a whole figure."""
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")


def save(figure: Figure, target: Path | BinaryIO, dpi: int = 130) -> None:
    """Write a figure as PNG; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    # Without the version of matplotlib, which may differ where the picture does not.
    figure.savefig(target, format="png", dpi=dpi, metadata={"Software": None})
