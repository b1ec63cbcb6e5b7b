"""The slide of a run: what it answers in one sentence, and the picture that shows it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from twin.core.units import counted, format_duration
from twin.report.colours import colour_of
from twin.report.dates import date_axis
from twin.report.html.markup import amount
from twin.report.map.levels import levels_of
from twin.report.map.picture import add_legend, paint
from twin.report.run.answers import failure_in_words
from twin.report.run.findings import Findings
from twin.report.run.network import struck_at
from twin.report.slide import Paint
from twin.report.style import INK, SHADE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sentence_of(found: Findings) -> str:
    """Return what the run answers: what a failure did, else which policy keeps the SLA."""
    if found.failures:
        return failure_in_words(found, found.failures[0], 2)
    best = next((score for score in found.scores if score.name == found.first), None)
    if best is None:
        return "Only bounds were run: there is no policy to recommend."
    spent = f"{amount(best.allocated)} Mbit/s per link on average"
    if best.waste_pct == best.waste_pct:
        spent += f", {amount(best.waste_pct, 3)} % of demand more than needed"
    if best.keeps:
        few = {1: "its only link", 2: "both links"}
        where = few.get(best.links, f"all {best.links:,} links")
        return f"{best.name} keeps the SLA on {where} with {spent}."
    return (
        f"No policy keeps the SLA: {best.name} comes closest, on {best.within:,} of "
        f"{counted(best.links, 'link')}, with {spent}."
    )


def source_of(found: Findings) -> str:
    """Return what the slide is from."""
    run = found.run
    length = format_duration(run.intervals * run.tick_s)
    return f"{run.name}: {counted(len(run.links), 'link')} over {length}; shown is {_shown(found)}"


def _shown(found: Findings) -> str:
    at = _struck(found)
    if at is None:
        return f"{found.focus} under {found.lead}"
    when = found.run.instant(int(_instants(found)[at]) * found.run.tick_s)
    return f"load over the allocation of {found.lead} at {when}"


def picture_of(found: Findings) -> Paint:
    """Return the picture: the network during the first failure, else the link in focus."""
    at = _struck(found)
    return partial(_link, found) if at is None else partial(_network, found, at)


def _struck(found: Findings) -> int | None:
    samples = found.aggregates.samples
    if samples is None or not found.failures:
        return None
    return struck_at(found.run, samples, found.spans)


def _instants(found: Findings) -> np.ndarray:
    assert found.aggregates.samples is not None
    return found.aggregates.samples.instants


def _network(found: Findings, at: int, panel: Axes) -> None:
    run, samples = found.run, found.aggregates.samples
    assert run.topology is not None
    assert samples is not None
    place = {name: i for i, name in enumerate(run.links)}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = samples.demand[:, at] / samples.allocated[found.lead][:, at]
    own = levels_of(np.where(samples.demand[:, at] > 0, ratio, 0.0))
    levels = np.array(
        [own[place[name]] if name in place else 0 for name in run.topology.link_names]
    )
    time = samples.instants[at] * run.tick_s
    struck = {
        name for span in found.spans if span.outage and span.start <= time < span.end
        for name in span.links
    }  # fmt: skip
    names = run.topology.link_names
    paint(panel, run.topology, levels, [i for i, name in enumerate(names) if name in struck])
    add_legend(panel)


def _link(found: Findings, panel: Axes) -> None:
    run, lead = found.run, found.lead
    block = next(
        block for block in run.read_intervals(found.focus)
        if block.policy == lead and found.focus in block.links
    )  # fmt: skip
    i = block.links.index(found.focus)
    demand, allocated = block.demand[i], block.allocated[i]
    hours = np.arange(run.intervals + 1) * run.tick_s / 3600
    colour = colour_of(run.looks[lead])
    panel.stairs(allocated, hours, color=colour, linewidth=1.8, baseline=None,
                 label=f"allocated by {lead}")  # fmt: skip
    panel.stairs(demand, hours, color=INK, linewidth=1.0, label="demand", baseline=None)
    panel.stairs(demand, hours, baseline=demand - block.unmet[i], fill=True, color=VERMILION,
                 label="not served")  # fmt: skip
    for span in found.spans:
        if found.focus in span.links or (span.outage and run.rerouted):
            panel.axvspan(span.start / 3600, span.end / 3600, color=SHADE, alpha=0.4, linewidth=0)
    panel.set_xlim(0, hours[-1])
    panel.set_ylim(bottom=0)
    if run.starts is None:
        panel.set_xlabel("hours since the start of the replay")
    else:
        date_axis(panel, run.starts, run.timezone)
    panel.set_ylabel(f"{found.focus}, Mbit/s")
    panel.legend(loc="upper left", bbox_to_anchor=(0, 1.09), ncols=3, frameon=False)
