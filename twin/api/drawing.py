"""Figures and report of a result; results themselves know nothing of them.

What draws is imported when something is drawn: most runs draw nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twin.results.result import Result
from twin.results.saved import SavedResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from twin.report.run.source import RunData


class ReportDrawing:
    """Draws results as reports do."""

    def write(self, result: Result, folder: Path) -> list[str]:
        """Write figures and report to `folder`, and return the names of the files."""
        from twin.report.run.write import write

        return write(_data(result), folder)

    def figure(self, result: Result) -> Figure:
        """Return demand against each policy's allocation as a Matplotlib figure."""
        from twin.report.run.figures import allocation_figure

        return allocation_figure(_data(result))


def _data(result: Result) -> RunData:
    from twin.report.run.source import RunData

    return RunData.read(result.folder) if isinstance(result, SavedResult) else RunData.of(result)
