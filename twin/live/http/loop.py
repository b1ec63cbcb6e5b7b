"""The one thread that owns the twin: it closes intervals in time, and between does what others ask.

It is the main thread, for there alone can a policy be interrupted that takes too long. The server
runs in another, and hands over what it wants as a job. Nothing but this thread touches the twin.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, TypeVar

from twin.core.errors import RunError
from twin.engine.actions import ClosedInterval
from twin.live.collecting import CollectedHistory
from twin.live.living import LivingTwin
from twin.live.samples import BacklogError, NotWrittenError, Receipt, Samples

T = TypeVar("T")

_LOG: Final = logging.getLogger("twin.live")
MOST_JOBS: Final = 64
"""Jobs that wait; whoever comes after them is told to come again."""


class TraceFeeder:
    """Hands a twin the samples of a trace when their time has come."""

    def __init__(self, feed: Iterable[tuple[Samples, float]]) -> None:
        """Take the samples of each interval, and when it has ended."""
        self._feed = iter(feed)
        self._next = next(self._feed, None)

    def feed(self, twin: LivingTwin, now: float) -> None:
        """Hand over what ends until `now`, one interval at most.

        So each interval closes before the next one comes, as it would if nobody were ever behind.
        """
        if self._next is not None and self._next[1] <= now:
            twin.take(self._next[0], now)
            self._next = next(self._feed, None)


class TooBusyError(Exception):
    """More jobs wait than are kept."""


@dataclass(frozen=True)
class LoopStatus:
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
    collecting: CollectedHistory | None = None
    """What there is of a history, where it is collected, until it is enough."""
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
        feeder: TraceFeeder | None = None,
        *,
        see: Callable[[Samples], object] = lambda _: None,
        poll_s: float = 0.25,
    ) -> None:
        """Take the clock `now`, in seconds since 1970; time is looked at every `poll_s` or so.

        `see` is shown samples before they are taken.
        """
        self.twin, self.now = twin, now
        self.closing_took_s: Callable[[float], object] = lambda _: None
        """Told the seconds that it took to close intervals and to decide."""
        self._feeder, self._see, self._poll_s = feeder, see, poll_s
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(MOST_JOBS)
        self._stop = threading.Event()
        self._latest: ClosedInterval | None = None
        self._trouble: str | None = None
        self._unwritten: str | None = None
        """Why the last samples were not taken, where the disk was it."""
        self._noticed, self._looked = set[str](), False
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

    def take(self, samples: Samples) -> Future[Receipt]:
        """Let samples be taken. Raises TooBusyError."""

        def job(twin: LivingTwin) -> Receipt:
            self._see(samples)
            try:
                receipt = twin.take(samples, self.now())
            except NotWrittenError as error:
                self._unwritten = unwritten(error)
                raise
            self._unwritten = None
            return receipt

        return self.ask(job)

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
        closed, trouble = 0, self._unwritten or self.twin.trouble
        try:
            if self._feeder is not None:
                self._feeder.feed(self.twin, self.now())
            begun = time.perf_counter()
            closed = self.twin.advance(self.now(), 1)
            if closed:
                self._unwritten, trouble = None, self.twin.trouble
                self.closing_took_s(time.perf_counter() - begun)
        except BacklogError:
            # What could not be handed over now is handed over next time.
            pass
        except NotWrittenError as error:
            trouble = unwritten(error)
        except RunError as error:
            trouble = f"no policy decides: {error}"
        if trouble is not None and trouble != self._trouble:
            _LOG.error("%s", trouble)
        if closed or not self._looked:
            self._say_notices()
        self._trouble = trouble
        self.present = self._present()
        return closed > 0

    def _say_notices(self) -> None:
        """Log what an operator should know, once."""
        notices = set(self.twin.notices)
        for notice in sorted(notices - self._noticed):
            _LOG.warning("%s", notice)
        self._noticed, self._looked = notices, True

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

    def _present(self) -> LoopStatus:
        twin = self.twin
        return LoopStatus(
            self.now(), twin.interval, twin.ready, twin.why_not, dict(twin.counts), self._latest,
            twin.collecting, self._trouble,
        )  # fmt: skip


def unwritten(error: NotWrittenError) -> str:
    """Return why nothing can be written, for all to read: without the file's name."""
    why = getattr(error.__cause__, "strerror", None) or error
    return f"nothing can be written: {why}"
