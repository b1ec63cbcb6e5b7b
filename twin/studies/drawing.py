"""Figures of the studies: one style, and the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Settings of matplotlib, as `rc_context` takes them."""


@contextmanager
def figure_file(path: Path, title: str, size: tuple[float, float]) -> Iterator[Figure]:
    """Give an empty figure of width and height `size`, inches; then write it to `path` as PNG.

    Nothing is written after an error.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        write_png(figure, path, title, dpi=130)


def write_png(figure: Figure, path: Path, title: str, dpi: int) -> None:
    """Write a figure under its title, without the version of matplotlib in the file."""
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.savefig(path, dpi=dpi, metadata={"Software": None})
