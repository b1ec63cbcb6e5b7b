"""Writes an evaluation as tables and a picture: all of them, or none."""

from __future__ import annotations

from pathlib import Path

from twin.forecast.names import PERSISTENCE
from twin.report import style
from twin.results.folder import check_free, staged
from twin.studies.evaluation.evaluate import Evaluation

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


def save(evaluation: Evaluation, folder: Path, *, force: bool = False) -> Path:
    """Write the tables and the picture to `folder`: all of them, or none after an error.

    Raises InputError where the folder holds anything and `force` is false.
    """
    check_free(folder, force=force)
    tables = {"evaluation": evaluation.scores, "errors_by_hour": evaluation.by_hour}
    if len(evaluation.quantiles):
        tables["quantiles"] = evaluation.quantiles
    with staged(folder) as stage:
        for name, table in tables.items():
            table.to_csv(stage / f"{name}.csv", index=False, lineterminator="\n")
        (stage / "figures").mkdir()
        draw(evaluation, stage / "figures" / "error_by_hour.png")
    if "quantiles" not in tables:
        # One from before would not belong to these scores.
        (folder / "quantiles.csv").unlink(missing_ok=True)
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
            again, colour = divmod(i, len(_COLOURS))
            panel.plot(
                rows["hour"], rows["mase"], marker="o", markersize=3, linewidth=1.4, label=name,
                color=_COLOURS[colour], linestyle=("-", "--", ":")[again % 3],
            )  # fmt: skip
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
