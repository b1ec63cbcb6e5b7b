"""The picture of what provisioning faster saves: a bar for each lead time, the slowest on top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from twin.core.units import format_duration
from twin.report.html.markup import amount
from twin.report.style import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LeadTimeBar(NamedTuple):
    """What the best policy that keeps the SLA on every link comes to at one lead time."""

    seconds: float
    value: float
    """What it costs, or over-provisions; NaN where no policy keeps the SLA."""
    policy: str


def bar_texts(bars: Sequence[LeadTimeBar]) -> list[str]:
    """Return what is written beside each bar: the policy, and what it saves against the slowest.

    `bars` are the slowest first; the slowest that counts is the first with a value.
    """
    slowest = next((bar for bar in bars if not math.isnan(bar.value)), None)
    texts = []
    for bar in bars:
        if math.isnan(bar.value):
            texts.append("no policy keeps the SLA")
            continue
        said = f"{amount(bar.value, 3)}, {bar.policy}"
        if slowest is not None and bar is not slowest:
            saved = slowest.value - bar.value
            said += f": {'saves' if saved >= 0 else 'costs'} {amount(abs(saved), 3)}"
            said += "" if saved >= 0 else " more"
        texts.append(said)
    return texts


def paint_savings(bars: Sequence[LeadTimeBar], unit: str, panel: Axes) -> None:
    """Draw a bar for each lead time, the slowest first; `unit` says what they measure."""
    names = [format_duration(bar.seconds) for bar in bars]
    known = [0.0 if math.isnan(bar.value) else bar.value for bar in bars]
    shown = panel.barh(names, known, color=BLUE, height=0.6)
    for box, bar, said in zip(shown, bars, bar_texts(bars), strict=True):
        lost = math.isnan(bar.value)
        panel.annotate(
            said, (box.get_width(), box.get_y() + box.get_height() / 2), xytext=(6, 0),
            textcoords="offset points", va="center", color=GREY if lost else "black",
        )  # fmt: skip
    panel.invert_yaxis()
    panel.set_ylabel("lead time")
    panel.set_xlabel(unit)
    # Room for what stands beside the longest bar.
    panel.set_xlim(0, 1.6 * max([*known, 1e-9]))
    panel.grid(visible=False, axis="y")
