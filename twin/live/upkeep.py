"""What a living twin writes beside its journal: checkpoints, and days that are over.

A copy of the process writes them, so that no decision waits for it. What fails is said and tried
again; nothing that was decided depends on it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from twin.core.errors import InputError
from twin.live.aside import Aside
from twin.live.checkpoint import write_checkpoint
from twin.live.days import Days
from twin.live.journal import Position
from twin.live.present import LivePresent

_REPLAY_S: Final = 2.0
"""Seconds that a restart may spend on deciding again; then a checkpoint is written."""


class Upkeep:
    """Checkpoints and days of one state."""

    def __init__(self, days: Days) -> None:
        self.days = days
        self.spent = 0.0
        """Seconds that a restart would spend on deciding again."""
        self.trouble: str | None = None
        """Why they cannot be written, in words."""
        self._aside = Aside()
        self._promised = 0.0
        """Seconds that a restart no longer spends once what is under way is written."""
        self._ended = self._took = 0.0

    def after_start(self, path: Path, present: LivePresent, place: Position) -> None:
        """Write a checkpoint where a restart would take long: nothing is to be decided yet."""
        if self.spent <= _REPLAY_S:
            return
        begin = time.monotonic()
        try:
            write_checkpoint(path, place, present)
            self.spent = 0.0
            self._written(time.monotonic() - begin)
        except (OSError, InputError) as error:
            self._failed(error)

    def after_tick(self, path: Path, present: LivePresent, place: Position) -> None:
        """Begin to write what is due, unless that is under way; `path` is of the checkpoint."""
        try:
            if self._aside.busy:
                if not self._aside.ended():
                    return
                self._written(self._aside.took_s)
            # No more than a tenth of the time goes into checkpoints.
            rested = time.monotonic() - self._ended > 10 * self._took
            checkpoint = self.spent > _REPLAY_S and rested
            if not (checkpoint or self.days.due(present)):
                return
            self._promised = self.spent if checkpoint else 0.0
            self.spent -= self._promised
            work = partial(self._write, path if checkpoint else None, present, place)
            if not self._aside.begin(work):
                self._written(self._aside.took_s)
        except (OSError, InputError) as error:
            self._failed(error)

    def _write(self, path: Path | None, present: LivePresent, place: Position) -> None:
        if path is not None:
            write_checkpoint(path, place, present)
        self.days.keep(present)

    def _written(self, seconds: float) -> None:
        self.trouble, self._promised = None, 0.0
        self._ended, self._took = time.monotonic(), seconds
        self.days.look_again()

    def _failed(self, error: OSError | InputError) -> None:
        self.spent += self._promised
        self._promised = 0.0
        self.days.look_again()
        # A policy that cannot be kept: a restart has to decide all again.
        self.trouble = str(error)
        if isinstance(error, OSError):
            # Without the file's name, which is nobody's business who asks how the twin is.
            self.trouble = f"checkpoints and days cannot be written: {error.strerror or error}"

    def wait(self) -> None:
        """Return once what is under way is written, or has failed."""
        try:
            if self._aside.wait():
                self._written(self._aside.took_s)
        except (OSError, InputError) as error:
            self._failed(error)

    def finish(self, present: LivePresent) -> None:
        """Write all days that are not there yet, since the twin begins anew. Raises OSError."""
        self.wait()
        self.days.finish(present)
        self.spent = 0.0

    def checkpoint(self, path: Path, present: LivePresent, place: Position) -> None:
        """Write a checkpoint and the days that are over now, where that can be."""
        self.wait()
        with suppress(OSError):
            self.days.keep(present)
        with suppress(OSError, InputError):
            write_checkpoint(path, place, present)
            self.spent = 0.0
