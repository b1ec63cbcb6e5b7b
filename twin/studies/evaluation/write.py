"""Writes an evaluation as tables and a picture: all of them, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin.account.summary import ALL
from twin.forecast.names import PERSISTENCE
from twin.report import style
from twin.results.folder import staged
from twin.results.manifest import study_manifest
from twin.results.manifest_file import write_manifest
from twin.studies.evaluation.evaluate import Evaluation
from twin.studies.evaluation.horizons import LEVELS, HorizonEvaluation

_COLOURS = (
    style.ORANGE,
    style.PINK,
    style.BLUE,
    style.GREEN,
    style.SKY,
    style.VERMILION,
    style.YELLOW,
)
_HOURS = {
    "day": "hour of the day",
    "replay": "hours since the start of the replay, modulo a day (the trace has no start time)",
}


def save(
    evaluation: Evaluation,
    folder: Path,
    horizons: HorizonEvaluation | None = None,
    *,
    force: bool = False,
) -> Path:
    """Write the tables and the pictures to `folder`: all of them, or none after an error.

    Raises InputError where the folder holds anything and `force` is false.
    """
    tables = {"evaluation": evaluation.scores, "errors_by_hour": evaluation.by_hour}
    if len(evaluation.quantiles):
        tables["quantiles"] = evaluation.quantiles
    if horizons is not None:
        tables["horizons"] = horizons.scores
    with staged(folder, force=force) as stage:
        for name, table in tables.items():
            table.to_csv(stage / f"{name}.csv", index=False, lineterminator="\n")
        (stage / "figures").mkdir()
        draw(evaluation, stage / "figures" / "error_by_hour.png")
        if horizons is not None:
            draw_horizons(horizons, stage / "figures" / "error_by_horizon.png")
        name = evaluation.scenario.spec.name
        write_manifest(stage, study_manifest("an evaluation of forecasters", name))
    return folder


def draw(evaluation: Evaluation, path: Path) -> None:
    """Draw each model's MAE over persistence's by the hour."""
    from matplotlib.ticker import LogLocator, NullFormatter

    with style.plot_style():
        figure = style.new_figure(9, 4.6)
        panel = figure.subplots()
        panel.axhline(1, color=style.INK, linewidth=1, label=PERSISTENCE)
        names = [name for name in evaluation.pooled["model"] if name != PERSISTENCE]
        for i, name in enumerate(names):
            rows = evaluation.by_hour[evaluation.by_hour["model"] == name]
            panel.plot(rows["hour"], rows["mase"], label=name, **_line(i))
        panel.set(
            xlabel=_HOURS["replay" if evaluation.scenario.trace.starts is None else "day"],
            xlim=(-0.3, 23.3),
        )
        panel.set(ylabel="MAE over persistence's (log scale)", yscale="log")
        panel.set_xticks(range(0, 24, 3))
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.25, which="both")
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        title = f"{evaluation.scenario.spec.name}: error by the hour, one step ahead, all links"
        style.add_title(figure, title)
        style.save(figure, path)


def draw_horizons(evaluation: HorizonEvaluation, path: Path) -> None:
    """Draw, by horizon, each model's MAE over persistence's, and how often quantiles are missed."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    pooled = evaluation.scores[evaluation.scores["link"] == ALL]
    names = [name for name in pooled["model"].unique() if name != PERSISTENCE]
    with style.plot_style():
        figure = style.new_figure(13, 4.8)
        errors, *misses = figure.subplots(1, 1 + len(LEVELS), width_ratios=(1.6, 1, 1, 1))
        errors.axhline(1, color=style.INK, linewidth=1, label=PERSISTENCE)
        for i, name in enumerate([*names, PERSISTENCE]):
            rows = pooled[pooled["model"] == name].sort_values("ahead")
            steps = rows["ahead"] + 1
            # As in the legend: the last value is a plain line there.
            last_value = {"color": style.INK, "linestyle": "-", "marker": ""}
            look = _line(i) if name in names else _line(i) | last_value
            if name in names:
                errors.plot(steps, rows["over_persistence"], label=name, **look)
            for panel, level in zip(misses, LEVELS, strict=True):
                for prefix, width in (("", 1.4), ("own_", 0.6)):
                    missed = 1 - rows[f"{prefix}coverage_{100 * level:.0f}"]
                    panel.plot(steps, missed / (1 - level), **look | {"linewidth": width})
        for panel, level in zip(misses, LEVELS, strict=True):
            panel.axhspan(0.8, 1.2, color=style.SHADE, alpha=0.4, linewidth=0)
            panel.axhline(1, color=style.GREY, linewidth=1)
            panel.set(title=f"level {level:g}")
        errors.set(ylabel="MAE over persistence's at the same horizon")
        misses[0].set(ylabel="share above the quantile, over the nominal one (thin: a model's own)")
        for panel in (errors, *misses):
            panel.set(xscale="log", yscale="log", xlabel="intervals ahead")
            panel.set_xticks([k + 1 for k in evaluation.ahead], map(str, evaluation.ahead))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
            panel.yaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_formatter(NullFormatter())
            panel.grid(alpha=0.25, which="both")
        figure.legend(loc="outside right upper", frameon=False)
        style.add_title(figure, f"{evaluation.scenario.spec.name}: by horizon, all links")
        style.save(figure, path)


def _line(place: int) -> dict[str, Any]:
    """Return how the line of the model at a place looks."""
    again, colour = divmod(place, len(_COLOURS))
    return {
        "marker": "o", "markersize": 3, "linewidth": 1.4, "color": _COLOURS[colour],
        "linestyle": ("-", "--", ":")[again % 3],
    }  # fmt: skip
