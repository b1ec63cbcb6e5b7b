"""The sections of the report: the elements of each, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.studies.reproduction.document import DocumentTable, Element, Heading, Picture, Text
from twin.studies.reproduction.figures import TITLES
from twin.studies.reproduction.findings import findings
from twin.studies.reproduction.formatting import latency, missing, number, own, percent, size
from twin.studies.reproduction.measure import Measured

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tables:
    """All numbers of a reproduction; see :mod:`twin.studies.reproduction.tables`."""

    methods: pd.DataFrame
    comparison: pd.DataFrame
    table_1: pd.DataFrame
    table_2: pd.DataFrame
    figures: dict[int, pd.DataFrame]


def sections(measured: Measured, tables: Tables) -> list[Element]:
    """Return the whole report, from its title to its notes."""
    return [
        Heading("The paper's results, published beside measured", 1),
        Text(
            "Sengendo and Granelli, *AI-Enabled Digital Twins for Next-Generation Networks: "
            "Forecasting Traffic and Resource Management in 5G/6G*: two static rules and a "
            "forecast provision one link, and are compared on what they waste and what they break."
        ),
        *_provenance(measured),
        Heading("What comes out"),
        *(Text(finding) for finding in findings(measured, tables.methods)),
        Heading("Published beside measured"),
        _compared(tables.comparison),
        *([Text(str(measured.left_out), warning=True)] if measured.left_out else []),
        Text(
            "`~` is read off a chart; *inferred* follows from other published figures. A "
            "difference is measured / published - 1; where the paper gives only a bound, it is to "
            "the number in the bound or in its author's chart. Traffic is on the scale of the "
            "dataset, 0 to 1000, read as Mbit/s."
        ),
        Heading("Table I: methods and set-up"),
        _table_1(tables.table_1),
        *_left_out(measured),
        Heading("Table II: computational cost"),
        _table_2(tables.table_2),
        *_left_out(measured),
        Text(
            "MB are of 1,048,576 bytes. Memory is the peak of a fresh process that holds eight "
            "days of history; Python, NumPy and that history alone take what the constants show. A "
            "tick is one decision: windows made and the graph run, on one thread, median after a "
            "warm-up, with the network run for every link. Multiply-adds are those of recurrent "
            "and dense layers for one link; where the work is of another kind, none are given. "
            "Memory and times differ from run to run; nothing else here does."
        ),
        *_pictures(measured),
        Heading("Every method"),
        _methods(tables.methods),
        *_left_out(measured),
        Text(
            "Each model is allocated as it is, without a margin. `seasonal_day` and "
            "`seasonal_week` allocate what was needed a day or a week before. The interval after "
            "the ratio to persistence holds with 95 % confidence (bootstrap of whole days)."
        ),
        *(Text(f"Note: {note}.") for note in measured.notes),
    ]


def _provenance(measured: Measured) -> list[Element]:
    """Return which data every number is from, and what was repaired in them."""
    text = f"**Data: {measured.data}.**"
    if not measured.public:
        text += (
            " The public dataset may not be shipped with the twin. Level and shape of the "
            "generated trace were fitted to the published rows of both baselines, so that these "
            "agree is by construction and confirms the account, not the paper; the forecast's "
            "rows are free. `twin data fetch` and `twin reproduce --data FOLDER` give real ones."
        )
    elements: list[Element] = [Text(text, warning=not measured.public)]
    repairs = measured.result.scenario.trace.repairs
    return [*elements, *(Text(f"Repaired while reading: {repair}.") for repair in repairs)]


def _left_out(measured: Measured) -> list[Element]:
    """Return where the rows of the AI-enabled DT would come from, if they are not there."""
    if measured.left_out is None:
        return []
    return [Text(f"Without the AI-enabled DT: `{measured.left_out.command}` fills its row.")]


def _compared(table: pd.DataFrame) -> DocumentTable:
    rows = [
        [
            f"{row['artefact']}: {row['quantity']}",
            row["method"].replace(" (mean + 2 sigma)", "").replace(" (P95)", ""),
            row["published_as"],
            own(row),
            percent(row["relative_difference"]),
        ]
        for row in table.to_dict("records")
    ]
    headers = ["quantity", "method", "published", "measured", "difference"]
    return DocumentTable(headers, rows, left=2)


def _table_1(table: pd.DataFrame) -> DocumentTable:
    rows = [
        [row["item"], row["published"], row["here"], percent(row["relative_difference"])]
        for row in table.to_dict("records")
    ]
    return DocumentTable(["", "published", "here", "relative difference"], rows, left=3)


def _table_2(table: pd.DataFrame) -> DocumentTable:
    headers = (
        "method", "size, published, MB", "size, MB", "memory, published", "peak memory, MB",
        "the same, 1,000 links", "a tick, 1 link, ms", "a tick, 1,000 links, ms", "multiply-adds",
        "parameters", "MAE", "MAE over persistence's",
    )  # fmt: skip
    rows = [
        [
            row["method"],
            number(row["published_size_mb"], "{:.2f}"),
            size(row["size_mb"]),
            row["published_memory"],
            number(row["peak_memory_mb"], "{:.0f}"),
            number(row["peak_memory_1000_links_mb"], "{:.0f}"),
            latency(row["tick_1_link_ms"]),
            latency(row["tick_1000_links_ms"]),
            "" if missing(row["multiply_adds"]) else f"{row['multiply_adds']:,}",
            f"{row['parameters']:,}",
            number(row["mae"]),
            number(row["mae_over_persistence"], "{:.3f}"),
        ]
        for row in table.to_dict("records")
    ]
    return DocumentTable(headers, rows)


def _methods(table: pd.DataFrame) -> DocumentTable:
    headers = (
        "method", "MAE", "RMSE", "MAE over persistence's", "over-provisioning, % of demand",
        "efficiency, median", "utilization, mean", "violated intervals, %", "cost efficiency",
    )  # fmt: skip
    rows = []
    for row in table.to_dict("records"):
        spread = ""
        if not missing(row["mase_low"]):
            spread = f" ({row['mase_low']:.2f} to {row['mase_high']:.2f})"
        rows.append(
            [
                row["method"],
                number(row["mae"]),
                number(row["rmse"]),
                f"{row['mase']:.2f}{spread}",
                number(row["over_provisioning_pct"], "{:.1f}"),
                number(row["efficiency_median"], "{:.3f}"),
                number(row["utilization_mean"], "{:.3f}"),
                number(100 * row["sla_violation_rate"], "{:.2f}"),
                number(row["cost_efficiency"], "{:.3f}"),
            ]
        )
    return DocumentTable(headers, rows)


def _pictures(measured: Measured) -> list[Element]:
    captions = {
        1: "What the methods see; a model may read all, `internet` is what is provisioned for.",
        2: "The allocation read as a forecast, as the paper does.",
        3: "What is allocated beyond the demand, on average.",
        4: "Min-max normalised over the methods, so it shows who is best, not by how much. "
        "The paper's radar gives no numbers.",
        5: "Averages over the intervals; utilization exceeds 1 where demand exceeds allocation.",
        6: "Boxes from the lower to the upper quartile; measured whiskers reach all intervals.",
    }
    elements: list[Element] = []
    for figure, caption in captions.items():
        elements.append(Heading(f"Figure {figure}: {TITLES[figure]}"))
        numbers = f"Numbers: `figure-{figure}.csv`."
        elements.append(Picture(f"figure-{figure}.png", f"{caption} {numbers}"))
        elements += _left_out(measured) if figure > 1 else []
    return elements
