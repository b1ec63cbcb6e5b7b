"""Progress of long work: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from twin.core.units import format_duration

_QUIET_S = 5.0
"""In a pipe nothing is shown before this, and then a line each time it passes again."""


class Show(Protocol):
    """Takes the steps done, their number, and what else is to be shown."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show how far the work has come."""


@contextmanager
def progress(label: str) -> Iterator[Show]:
    """Give a function that shows how far the work has come."""
    if sys.stderr.isatty():
        with _bar(label) as show:
            yield show
    else:
        yield _Lines(label)


@contextmanager
def _bar(label: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )  # fmt: skip

    remark = TextColumn("{task.fields[note]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TaskProgressColumn(show_speed=True), TimeRemainingColumn())
    with Progress(*columns, *times, remark, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, note="")

        def show(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield show


class _Lines:
    """A line now and then, with the rate since the first step that was seen."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._began = self._shown_at = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = done, now
        if now - self._shown_at < _QUIET_S:
            return
        self._shown_at = now
        parts = [f"{self._label}: {done} of {total}"]
        if done > self._first and now > self._began:
            rate = (done - self._first) / (now - self._began)
            parts += [
                f"{rate:.3g} a second",
                f"{format_duration(round((total - done) / rate))} left",
            ]
        print(", ".join(parts + [note] * bool(note)), file=sys.stderr, flush=True)
