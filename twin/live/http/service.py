"""What all answers share: the twin's thread, its workers, what is kept, and what was said last."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from twin.core.errors import InputError
from twin.engine.actions import ClosedInterval
from twin.live.drifting import LiveDrift
from twin.live.http.answering import Task, WhatIfLimits, WhatIfWorkers
from twin.live.http.bodies import BodyLimits, BodyReader
from twin.live.http.cached import AnswerCache
from twin.live.http.connections import ConnectionLimits, Connections
from twin.live.http.errors import HttpError, without_folders
from twin.live.http.loop import LoopStatus, TooBusyError, TwinLoop, unwritten
from twin.live.http.measures import Measures, TwinCollector
from twin.live.http.outlook_scores import OutlookScores
from twin.live.http.outlooks import Outlooks
from twin.live.http.recent import RecentIntervals
from twin.live.http.refusals import RefusedTokens
from twin.live.http.stream import EventStream
from twin.live.http.tasks import RISK_S, Key
from twin.live.http.tokens import ApiTokens
from twin.live.living import LivingTwin
from twin.live.outputs import AllocationsFile, Webhook
from twin.live.path_forecasts import renewed
from twin.live.samples import BacklogError, NotWrittenError, Receipt, Samples

T = TypeVar("T")

_LOG: Final = logging.getLogger("twin.live.http")
_PATIENCE_S: Final = 30.0
"""How long a request waits for the twin's thread, which a policy may keep until its time limit."""
_MOST_LOGGED, _MOST_NAMED = 50, 8
"""Entries of the log that are told, and links that each names."""
_UNSEEN_S: Final = 3600.0
"""While nobody looks, the next hours are worked out once in so long."""
_SILENT_S: Final = 60.0
"""A thread that was not free for so long, and for three ticks, is taken to hang."""


@dataclass(frozen=True)
class LiveLimits:
    """What requests may take."""

    bodies: BodyLimits = field(default_factory=BodyLimits)
    what_ifs: WhatIfLimits = field(default_factory=WhatIfLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    settled_s: float = 1.0
    """The next hours are worked out for the first time so long after the start."""


class LiveService:
    """One twin as the server sees it. Its methods run in the server's event loop."""

    def __init__(
        self, loop: TwinLoop, tokens: ApiTokens | None = None, limits: LiveLimits | None = None
    ) -> None:
        """Take a loop that does not run yet: what it knows so far is noted down here."""
        self.loop, self.tokens, self.limits = loop, tokens, limits or LiveLimits()
        twin = loop.twin
        self.links, self.policies, self.tick_s = twin.links, twin.policies, twin.tick_s
        self.scenario = twin.scenario
        self.connections = Connections(self.limits.connections)
        self.refused = RefusedTokens()
        self.bodies = BodyReader(self.limits.bodies)
        self.workers = WhatIfWorkers(self.limits.what_ifs)
        self.stream = EventStream()
        self.cache = AnswerCache(lambda: self.present.closed)
        self.scores = AnswerCache(lambda: 0)
        self.recent = RecentIntervals(self.links, self.policies, self.tick_s)
        self.recent.fill(twin.simulation, twin.begins_s + twin.first * twin.tick_s)
        self.outlooks = Outlooks(
            self.links, self.tick_s, twin.begins_s, lambda: self.present.closed,
            lambda: twin.acting, self.work_out,
        )  # fmt: skip
        self.outlook_scores = OutlookScores(twin)
        twin.subscribe(self.outlook_scores.closed)
        self.drift = LiveDrift(twin)
        twin.subscribe(self.drift.closed)
        self.measures = self._measures(twin)
        self._events: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked = time.monotonic() - _UNSEEN_S + self.limits.settled_s
        self._began = twin.first
        twin.subscribe(self._closed)

    @property
    def present(self) -> LoopStatus:
        """What is known of the twin without asking its thread."""
        return self.loop.present

    def _measures(self, twin: LivingTwin) -> Measures:
        collector = TwinCollector(
            lambda: self.present, self.links, self.tick_s, twin.begins_s, lambda: twin.acting
        )
        measures = Measures(collector)
        self.loop.closing_took_s = measures.closing.observe
        self.workers.seconds = measures.what_ifs.observe
        measures.add_counter(
            "twin_what_ifs", "What-ifs and scoreboards, by how they ended.", "outcome",
            lambda: self.workers.outcomes,
        )  # fmt: skip
        measures.add_gauge(
            "twin_what_ifs_under_way", "What-ifs that are answered or wait.",
            lambda: self.workers.under_way,
        )  # fmt: skip
        measures.add_gauge(
            "twin_event_listeners", "Open streams of events.", lambda: self.stream.listeners
        )
        self._measure_outlooks(measures)
        self._measure_access(measures)
        self._measure_drift(measures)
        return measures

    def _measure_outlooks(self, measures: Measures) -> None:
        scores = self.outlook_scores
        measures.add_counter(
            "twin_outlooks_scored", "Numbers of outlooks that were held against what came.",
            "number", lambda: scores.scored,
        )  # fmt: skip
        measures.add_counter(
            "twin_outlooks_held", "Of these, those whose 90 % interval held what came.", "number",
            lambda: scores.held,
        )  # fmt: skip
        measures.add_counter(
            "twin_forecast_coverage_lost", "Links whose forecast intervals were missed too often.",
            "of", lambda: scores.missed,
        )  # fmt: skip

    def _measure_access(self, measures: Measures) -> None:
        measures.add_gauge(
            "twin_http_connections", "Open connections.", lambda: len(self.connections)
        )
        measures.add_counter(
            "twin_http_connections_refused", "Connections for which probes alone are answered, by "
            "the limit that was reached: in all, or of one address.", "limit",
            lambda: self.connections.refused,
        )  # fmt: skip
        measures.add_counter(
            "twin_http_tokens_refused", "Requests without a token, with one that is not known, or "
            "with one of another role.", "reason", lambda: self.refused.counts,
        )  # fmt: skip

    def _measure_drift(self, measures: Measures) -> None:
        drift = self.drift
        measures.add_counter(
            "twin_drifts", "What was said of links that their past does not explain, by kind.",
            "kind", lambda: drift.counts,
        )  # fmt: skip
        measures.add_counter(
            "twin_drift_refits", "Refits that shifts led to: begun, and how often put off.",
            "outcome", lambda: drift.refits,
        )  # fmt: skip
        measures.add_gauge("twin_drifts_open", "Drifts that are not over.", lambda: drift.open)
        measures.add_gauge(
            "twin_drift_refit_waits", "1 where a refit is wanted and has not begun.",
            lambda: float(drift.waits is not None),
        )  # fmt: skip

    def add_output(self, output: AllocationsFile | Webhook) -> None:
        """Let every decision go there, and first the one that is in force."""
        name = type(output).__name__.lower()
        self.measures.add_counter(
            f"twin_{name}_writes", "Decisions handed over, by what became of them.", "outcome",
            lambda: output.outcomes,
        )  # fmt: skip
        twin = self.loop.twin
        if twin.ready:
            output.write(twin.allocations())
        twin.subscribe(lambda _: output.write(twin.allocations()))

    def started(self) -> None:
        """Note down the event loop that runs from now on."""
        self._events = asyncio.get_running_loop()
        # Most of a first answer is learnt from the past, which nobody should wait for.
        self._events.call_later(self.limits.settled_s, self._look_first)

    def end_streams(self) -> None:
        """Let all streams of events end soon; may be called from any thread."""
        events = self._events
        if events is not None and not events.is_closed():
            events.call_soon_threadsafe(self.stream.end)

    def stopped(self) -> None:
        """End what goes on by itself."""
        self._events = None
        if self._looking is not None:
            self._looking.cancel()
        self.stream.end()
        self.workers.close()

    def _closed(self, closed: ClosedInterval) -> None:
        """Tell all who listen of a closed interval; runs in the twin's thread."""
        twin, events = self.loop.twin, self._events
        self.recent.add(closed, twin.begins_s)
        if events is None:
            return
        ends = twin.begins_s + closed.start_s + self.tick_s
        short = closed.demand_mbps > closed.allocated_mbps[twin.acting]
        told = {"interval": closed.interval, "end": ends, "short_links": int(short.sum())}
        seen = twin.simulation.span.first + twin.simulation.closed
        anew = twin.first != self._began or renewed(seen, self.tick_s)
        self._began = twin.first
        try:
            events.call_soon_threadsafe(self._tell, closed.interval, told, anew)
        except RuntimeError:  # the server has ended meanwhile
            self._events = None

    def _tell(self, interval: int, told: dict[str, Any], anew: bool) -> None:
        self.stream.tell("interval", interval, told)
        # What is at risk is worked out while somebody looks. Else now and then, so that whoever
        # asks first does not wait for all that has to be learnt from the past: once a day, and of
        # a twin that began anew, that is all of it.
        if self.stream.listeners or time.monotonic() > self._looked + _UNSEEN_S:
            self.look_ahead()
        elif anew:
            self._look_first()

    def _look_first(self) -> None:
        """Let be learnt what outlooks and what-ifs need, unless that is to come."""
        if self._events is not None and self.present.collecting is None:
            self.look_ahead()

    def look_ahead(self) -> None:
        """Let the next hours be worked out, unless they are; whoever listens is told when."""
        if self.present.ready and (self._looking is None or self._looking.done()):
            self._looked = time.monotonic()
            self._looking = asyncio.create_task(self._look_ahead())

    async def _look_ahead(self) -> None:
        try:
            fan = await self.outlooks.fan(RISK_S)
        except HttpError as error:
            _LOG.info("no outlook: %s", error)
        except InputError as error:
            _LOG.warning("no outlook: %s", error)
        else:
            self.outlook_scores.made(fan)
            self.stream.tell("outlook", self.present.closed, {"interval": fan.made})

    async def ask(self, job: Callable[[LivingTwin], T]) -> T:
        """Return what the twin's thread answers. Raises HttpError where it has no time."""
        return await self._answered(lambda: self.loop.ask(job))

    async def take(self, samples: Samples) -> Receipt:
        """Return what became of samples that the twin took. Raises HttpError."""
        return await self._answered(lambda: self.loop.take(samples))

    async def _answered(self, begin: Callable[[], Future[T]]) -> T:
        try:
            future = begin()
        except TooBusyError:
            raise HttpError.later(429, "the twin has more to do than it keeps", 1) from None
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), _PATIENCE_S)
        except TimeoutError:
            raise HttpError.later(503, "the twin is at work on its decisions", 5) from None
        except BacklogError as error:
            raise HttpError.later(429, str(error), 1) from None
        except NotWrittenError as error:
            raise HttpError.later(503, unwritten(error), 5) from None

    def check_ready(self) -> None:
        """Raise HttpError where the twin does not decide yet."""
        if not self.present.ready:
            why = self.present.why_not or "it does not say why"
            raise HttpError.later(503, f"the twin does not decide: {why}", self.tick_s)

    async def ask_ready(self, job: Callable[[LivingTwin], T]) -> T:
        """Return what :meth:`ask` does, of a twin that decides already. Raises HttpError."""
        self.check_ready()
        return await self.ask(job)

    async def work_out(self, task: Callable[[Key], Task], who: str | None = None) -> Any:
        """Return what a worker makes of the twin as it is now. Raises HttpError.

        `who` is the name of the token that asks, "" where there is none; None is the twin itself.
        """
        # Before the state is copied, which takes the twin's time.
        self.workers.check_room(who)
        snapshot, key = await self.ask_ready(
            lambda twin: (twin.simulation.snapshot(), (twin.first, twin.interval))
        )
        return await self.workers.answer(snapshot, task(key), who)

    def log(self, twin: LivingTwin) -> list[dict[str, Any]]:
        """Return what happened lately, the latest last; runs in the twin's thread."""
        began = twin.begins_s + twin.first * twin.tick_s
        return [
            {
                "time_s": began + each.time_s,
                "kind": each.kind,
                "name": each.name,
                "phase": each.phase,
                "links": list(each.links[:_MOST_NAMED]),
                "more_links": max(len(each.links) - _MOST_NAMED, 0),
                "detail": without_folders(each.detail),
            }
            for each in twin.simulation.logged[-_MOST_LOGGED:]
        ]

    def healthy(self) -> str:
        """Return why the twin should be started again; empty: it should not."""
        silent = asyncio.get_running_loop().time() - self.present.beat
        if silent > max(_SILENT_S, 3 * self.tick_s):
            return f"the twin's thread has been busy for {silent:.0f} s"
        return ""
