"""Numbers as text, as the report and the command line write them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any


def number(value: Any, text: str = "{:.4g}") -> str:
    """Return a number as text, nothing for a missing one."""
    return "" if missing(value) else text.format(value)


def own(row: dict[Hashable, Any]) -> str:
    """Return the measured number of a row of the comparison as text."""
    return size(row["measured"]) if row["artefact"] == "Table II" else number(row["measured"])


def size(megabytes: float, unit: str = "") -> str:
    """Return MB with two decimals and `unit`, or bytes where that would be 0."""
    return f"{megabytes:.2f}{unit}" if megabytes >= 0.01 else f"{megabytes * 2**20:.0f} bytes"


def latency(milliseconds: float) -> str:
    """Return ms with as many digits as the measurement supports."""
    if milliseconds < 0.001:
        return "< 0.001"
    return f"{milliseconds:.2g}" if milliseconds < 10 else f"{milliseconds:.0f}"


def percent(value: Any) -> str:
    """Return a relative difference as text."""
    return "" if missing(value) else f"{100 * value:+.1f} %"


def missing(value: Any) -> bool:
    """Return whether there is no value."""
    import pandas as pd

    return bool(pd.isna(value))
