"""The one thread that owns the twin: it closes intervals in time, and between does what others ask.

It is the main thread, for there alone can a policy be interrupted that takes too long. The server
runs in another, and hands over what it wants as a job. Nothing but this thread touches the twin.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from twin.core.errors import RunError
from twin.engine.actions import ClosedInterval
from twin.live.living import LivingTwin
from twin.live.samples import BacklogError, NotWrittenError

T = TypeVar("T")

_LOG: Final = logging.getLogger("twin.live")
MOST_JOBS: Final = 64
"""Jobs that wait; whoever comes after them is told to come again."""


class Feeder(Protocol):
    """Something that delivers by itself, such as a trace that is fed as if it came now."""

    def feed(self, twin: LivingTwin, now: float) -> bool:
        """Hand over what has come since the last call; whether there was anything."""


class TooBusyError(Exception):
    """More jobs wait than are kept."""


@dataclass(frozen=True)
class Present:
    """What is known of the twin without asking its thread; it never changes once it is there."""

    now: float
    """Seconds since 1970, of the twin's clock, when it was noted down."""
    closed: int
    """Intervals that have closed since the live began."""
    ready: bool
    why_not: str | None
    counts: Mapping[str, int]
    """Samples by outcome."""
    latest: ClosedInterval | None
    """The last interval that closed since the server started."""
    trouble: str | None = None
    """What keeps it from deciding or from being kept, such as a full disk."""
    beat: float = field(default_factory=time.monotonic)
    """When the thread was last seen at work, on the monotonic clock."""


class TwinLoop:
    """Runs a twin until it is told to stop."""

    def __init__(
        self,
        twin: LivingTwin,
        now: Callable[[], float],
        feeder: Feeder | None = None,
        *,
        poll_s: float = 0.25,
    ) -> None:
        """Take the clock `now`, in seconds since 1970; time is looked at every `poll_s` or so."""
        self.twin, self.now = twin, now
        self.closing_took_s: Callable[[float], object] = lambda _: None
        """Told the seconds that it took to close intervals and to decide."""
        self._feeder, self._poll_s = feeder, poll_s
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(MOST_JOBS)
        self._stop = threading.Event()
        self._latest: ClosedInterval | None = None
        self._trouble: str | None = None
        twin.subscribe(self._note)
        self.present = self._present()

    def ask(self, job: Callable[[LivingTwin], T]) -> Future[T]:
        """Let the thread do a job, and return what it will answer. Raises TooBusyError."""
        future: Future[T] = Future()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(job(self.twin))
            except BaseException as error:
                future.set_exception(error)

        try:
            self._jobs.put_nowait(do)
        except queue.Full:
            raise TooBusyError from None
        return future

    def stop(self) -> None:
        """Let :meth:`run` end soon; may be called from a signal handler and from any thread."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def run(self) -> None:
        """Go on until told to stop, also where policies fail: samples are still kept then."""
        while not self._stop.is_set():
            # Where more intervals are due, others are served between any two of them.
            self._work(0.0 if self._advance() else self._poll_s)
        # Whoever was promised an answer gets it.
        self._work(0.0)
        self.present = self._present()

    def _advance(self) -> bool:
        """Take what is fed and close an interval that is due; return whether one was."""
        closed, trouble = 0, self.twin.trouble
        try:
            if self._feeder is not None:
                self._feeder.feed(self.twin, self.now())
            begun = time.perf_counter()
            closed = self.twin.advance(self.now(), 1)
            if closed:
                self.closing_took_s(time.perf_counter() - begun)
        except BacklogError:
            # What could not be handed over now is handed over next time.
            pass
        except NotWrittenError as error:
            trouble = f"nothing can be written: {error}"
        except RunError as error:
            trouble = f"no policy decides: {error}"
        if trouble is not None and trouble != self._trouble:
            _LOG.error("%s", trouble)
        self._trouble = trouble
        self.present = self._present()
        return closed > 0

    def _work(self, seconds: float) -> None:
        """Do the jobs that wait; where none does, wait for one, but no longer than `seconds`."""
        try:
            self._jobs.get(timeout=seconds)() if seconds else self._jobs.get_nowait()()
            while True:
                self._jobs.get_nowait()()
        except queue.Empty:
            return

    def _note(self, closed: ClosedInterval) -> None:
        self._latest = closed

    def _present(self) -> Present:
        twin = self.twin
        return Present(
            self.now(), twin.interval, twin.ready, twin.why_not, dict(twin.counts), self._latest,
            self._trouble,
        )  # fmt: skip
