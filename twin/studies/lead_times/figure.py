"""The picture of lead times: waste and violations of each policy, the longer an order takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twin.core.arrays import Floats
from twin.core.units import format_duration
from twin.report import style
from twin.report.colours import colour_of, looks_of
from twin.studies.lead_times.compare import LeadTimes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS: Final = "os^Dv"
_DASHES: Final = ("-", "--", ":")
_NEAR_S: Final = 60.0
"""Lead times well below this are drawn evenly, those well above it on a scale of ratios."""
_WASTE: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, *(10.0**power for power in range(3, 12)))
"""Over-provisioning that is marked on the axis, %."""


def draw(study: LeadTimes, path: Path) -> None:
    """Draw waste above and violations below, against lead time, to `path`."""
    with style.plot_style(grid=True):
        figure = style.new_figure(9, 6.4)
        waste, violated = figure.subplots(2, 1, sharex=True)
        floor = _floor(study)
        looks = looks_of(study.policies)
        for name in study.policies:
            rows = study.table[study.table["policy"] == name]
            _line(waste, rows, rows["over_provisioning_pct"].to_numpy(), looks[name])
            shares = np.maximum(100 * rows["sla_violation_rate"].to_numpy(), floor)
            _line(violated, rows, shares, looks[name])
        _waste_axis(waste, study)
        _violations_axis(violated, study, floor)
        _time_axis(violated, study)
        _legend(figure, study)
        style.add_title(figure, f"{study.scenario.spec.name}: what slow provisioning costs")
        style.save(figure, path)


def _line(panel: Axes, rows: pd.DataFrame, values: Floats, number: int) -> None:
    """Draw a policy; a point is hollow where a link misses the SLA."""
    look = _look(number)
    leads = rows["lead_time_s"].to_numpy()
    panel.plot(leads, values, linewidth=1.4, **(look | {"marker": ""}))
    held = rows["links_missing_sla"].to_numpy() == 0
    for some, face in ((held, look["color"]), (~held, "white")):
        if some.any():
            panel.plot(
                leads[some], values[some], markersize=6, markerfacecolor=face, clip_on=False,
                zorder=3, **(look | {"linestyle": ""}),
            )  # fmt: skip


def _look(number: int) -> dict[str, Any]:
    """Return colour, dashes and marker of the look with this number."""
    again = number // len(style.POLICY_COLOURS)
    return {
        "color": colour_of(number),
        "linestyle": _DASHES[again % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def _floor(study: LeadTimes) -> float:
    """Return the height at which 0 violations are drawn, %: below a single violated interval."""
    cells = len(study.scenario.links) * study.scenario.span.intervals
    return 100 * min(0.4 / cells, study.scenario.spec.sla.target or 1.0)


def _waste_axis(panel: Axes, study: LeadTimes) -> None:
    from matplotlib.ticker import FixedLocator

    widest = float(np.nanmax([*study.table["over_provisioning_pct"], 1.0]))
    panel.set_yscale("function", functions=(_root, np.square))
    panel.set_ylim(0, widest * 1.1)
    panel.yaxis.set_major_locator(FixedLocator([mark for mark in _WASTE if mark <= widest * 1.1]))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_ylabel("over-provisioning,\n% of mean demand\n(square-root scale)")


def _violations_axis(panel: Axes, study: LeadTimes, floor: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    panel.set(yscale="log", ylim=(floor * 0.7, 130))
    decades = [decade for decade in 10.0 ** np.arange(-6, 3) if decade > 1.5 * floor]
    panel.yaxis.set_major_locator(FixedLocator([floor, *decades]))
    panel.yaxis.set_major_formatter(
        FuncFormatter(lambda y, _: "none" if y <= floor * 1.01 else f"{y:g}")
    )
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_ylabel("violated intervals, %\n(log scale)")
    target = 100 * study.scenario.spec.sla.target
    if target > 0:
        panel.axhline(target, color=style.INK, linewidth=1, linestyle=(0, (6, 3)))
        place = panel.get_yaxis_transform()
        panel.text(1.005, target, f"SLA target\n{target:g} %", transform=place, va="center")


def _time_axis(panel: Axes, study: LeadTimes) -> None:
    leads = study.lead_times
    panel.set_xscale("function", functions=(_nearly_log, _back))
    first = float(_back(_nearly_log(np.array(leads[0])) - 0.05))
    panel.set_xlim(first, leads[-1] * 1.1)
    panel.set_xticks(leads, [format_duration(lead) for lead in leads])
    panel.minorticks_off()
    panel.set_xlabel("lead time, from an order to its effect (log scale from minutes on)")


def _legend(figure: Figure, study: LeadTimes) -> None:
    from matplotlib.lines import Line2D

    handles = []
    looks = looks_of(study.policies)
    for name in study.policies:
        look = _look(looks[name])
        handles.append(Line2D([], [], label=name, markersize=6, linewidth=1.4, **look))
    hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "color": style.GREY}
    handles.append(Line2D([], [], linestyle="", label="a link misses\nthe SLA", **hollow))
    figure.legend(handles=handles, loc="outside right upper", frameon=False)


def _root(values: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(values, 0)))


def _nearly_log(seconds: Floats) -> Floats:
    """Return log10(1 + t / 60 s): it has a place for 0, and is a log scale from minutes on."""
    return np.asarray(np.log10(1 + np.maximum(seconds, -0.9 * _NEAR_S) / _NEAR_S))


def _back(places: Floats) -> Floats:
    return np.asarray(_NEAR_S * (10.0**places - 1))
