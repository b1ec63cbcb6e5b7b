"""A slide: one sentence and one picture on one page, 16:9, as PDF and PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from twin.report.style import GREY, INK, plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILES: Final = ("slide.pdf", "slide.png")
_SIZE = (40 / 3, 7.5)
_DPI = 144
"""1920 x 1080 pixels."""
_LETTERS = ((48, 27), (56, 23), (70, 18.5), (88, 14.5))
"""Letters in a line of the sentence, and their size in points."""
_MOST_LINES = 3

Paint = Callable[["Axes"], None]
"""Draws the picture on a panel."""


def write_slide(
    stream: BinaryIO, form: Literal["pdf", "png"], sentence: str, source: str, paint: Paint
) -> None:
    """Write a slide; `source` says below the picture what it is from. Same slide, same bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with plot_style(grid=True), rc_context({"font.size": 15, "pdf.fonttype": 42}):
        figure = Figure(figsize=_SIZE)
        lines, size = _set(sentence)
        figure.text(0.04, 0.94, "\n".join(lines), va="top", fontsize=size, fontweight="bold",
                    color=INK, linespacing=1.25)  # fmt: skip
        top = 0.90 - len(lines) * size * 1.25 / 72 / _SIZE[1]
        panel = figure.add_axes((0.08, 0.17, 0.88, top - 0.17))
        paint(panel)
        figure.text(0.04, 0.035, source, fontsize=12, color=GREY)
        # Without dates and versions, which may differ where the slide does not.
        unsaid = {"pdf": ("Creator", "Producer", "CreationDate"), "png": ("Software",)}[form]
        figure.savefig(stream, format=form, dpi=_DPI, metadata=dict.fromkeys(unsaid))


def _set(sentence: str) -> tuple[list[str], float]:
    """Return the lines of a sentence and the size at which they fit."""
    for letters, size in _LETTERS:
        lines = textwrap.wrap(sentence, letters, break_long_words=True)
        if len(lines) <= _MOST_LINES:
            return lines, size
    return textwrap.wrap(sentence, letters, max_lines=4, placeholder=" ..."), size
