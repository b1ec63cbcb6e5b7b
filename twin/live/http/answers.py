"""What is read: state, allocations, forecasts, decisions, the scoreboard, metrics, events."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from twin.core.units import format_duration
from twin.live.answers import Decided
from twin.live.http.errors import HttpError, without_folders
from twin.live.http.mapped import map_of
from twin.live.http.measures import CONTENT_TYPE
from twin.live.http.plain import encoded
from twin.live.http.queries import Query
from twin.live.http.service import LiveService
from twin.live.http.tasks import HORIZONS_S, score
from twin.live.living import LivingTwin
from twin.live.outputs import table_of
from twin.report.colours import colour_of, dashes_of, looks_of

T = TypeVar("T")

_JSON: Final = "application/json"
_SCORED_S: Final = 60.0
"""A scoreboard is made anew no more often than this."""
_MOST_DECIDED: Final = 200_000
"""Numbers in an answer of decisions; beyond them it says where to go on."""
_MOST_INTERVALS: Final = 2_016


class Answers:
    """The answers to GET requests about one twin."""

    def __init__(self, service: LiveService) -> None:
        self._service = service
        self._map: str | None = None
        self._reading = asyncio.Lock()

    async def state(self, request: Request) -> Response:
        """Return the present, or the state at a past time."""
        query = Query(request, ("at", "map"))
        at, mapped = query.instant("at"), query.one_of("map", ("0", "1"), "choice") == "1"
        if at is not None:
            return await self._read(f"state {at}", lambda twin: twin.reading_state(at), dict)
        topology = self._service.scenario.topology
        if mapped and topology is not None:
            self._map = drawn = self._map or await asyncio.to_thread(map_of, topology)
            return await self._cached("state map", lambda twin: {**self._state(twin), "map": drawn})
        return await self._cached("state", self._state)

    def _state(self, twin: LivingTwin) -> dict[str, Any]:
        present = self._service.present
        looks, state = looks_of(twin.policies), twin.state()
        return {
            **state,
            "why_not": without_folders(state["why_not"] or "") or None,
            "clock_s": self._service.loop.now(),
            "begins_s": twin.begins_s,
            "trouble": without_folders(present.trouble or "") or None,
            "looks": {
                name: {"colour": colour_of(look), "dashes": dashes_of(look)}
                for name, look in looks.items()
            },
            "outlook": self._service.outlooks.latest(),
            "outlooks_in_hindsight": self._service.outlook_scores.told(),
            **self._service.drift.told(),
            "log": self._service.log(twin),
        }

    async def allocations(self, request: Request) -> Response:
        """Return what a policy, by default the acting one, asks for: JSON, or a table as CSV."""
        query = Query(request, ("policy",))
        policy = query.one_of("policy", self._service.policies, "policy")
        if "text/csv" in request.headers.get("accept", ""):
            decision = await self._service.ask_ready(lambda twin: twin.allocations(policy))
            return Response(table_of(decision), media_type="text/csv; charset=utf-8")
        self._check_ready()
        return await self._cached(f"allocations {policy}", lambda twin: twin.allocations(policy))

    async def forecast(self, request: Request) -> Response:
        """Return the forecast of a link, and its last intervals with what was allocated."""
        query = Query(request, ("link", "for", "back", "wait"))
        link = query.required("link", self._service.links, "link")
        ahead_s, back_s = query.seconds("for", "2h"), query.seconds("back", "24h")
        self._check_ready()
        if ahead_s > HORIZONS_S[-1]:
            what = f"must be at most {format_duration(HORIZONS_S[-1])}"
            raise HttpError(400, what, "for")
        waits = query.one_of("wait", ("0", "1"), "choice") != "0"
        if not waits:
            self._service.look_ahead()
        told = await self._service.outlooks.forecast(link, ahead_s, waits=waits)
        past = await self._service.ask(lambda _: self._service.recent.of(link, back_s))
        return Response(encoded({**told, "past": past}), media_type=_JSON)

    async def decisions(self, request: Request) -> Response:
        """Return the acting policy's decisions from an interval on, and where to go on."""
        since = Query(request, ("since",)).whole("since")
        self._check_ready()
        most = min(max(_MOST_DECIDED // len(self._service.links), 1), _MOST_INTERVALS)

        acting = self._service.loop.twin.acting

        def told(found: Decided) -> dict[str, Any]:
            decided = found.decisions
            following = decided[-1]["interval"] + 1 if decided else since
            known = {"known_from": found.known_from, "next": following}
            return {"acting": acting, "decisions": decided, **known}

        def begin(twin: LivingTwin) -> Callable[[], Decided]:
            return twin.reading_decisions(since, most)

        return await self._read(f"decisions {since}", begin, told)

    async def scoreboard(self, request: Request) -> Response:
        """Return how the policies did lately, and whether another one should act.

        There are no spans before an interval has closed that could be scored.
        """
        Query(request)
        self._check_ready()
        twin = self._service.loop.twin
        if not self._service.present.closed:
            return Response(encoded({"acting": twin.acting, "spans": []}), media_type=_JSON)
        scored = partial(score, acting=twin.acting, days=twin.days_folder)

        async def make() -> bytes:
            return encoded(await self._service.work_out(lambda key: partial(scored, key=key)))

        return Response(await self._service.scores.get("scoreboard", make, _SCORED_S),
                        media_type=_JSON)  # fmt: skip

    async def metrics(self, request: Request) -> Response:
        """Return the metrics as Prometheus reads them."""
        Query(request)
        text = await asyncio.to_thread(self._service.measures.text)
        return Response(text, media_type=CONTENT_TYPE)

    async def events(self, request: Request) -> Response:
        """Return a stream of what happens."""
        Query(request)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._service.stream.listen(), media_type="text/event-stream", headers=headers
        )

    async def health(self, request: Request) -> Response:
        """Return whether the twin is at work."""
        Query(request)
        why = self._service.healthy()
        if why:
            raise HttpError(503, why, suggestion="start it again")
        return JSONResponse({"status": "ok"})

    async def readiness(self, request: Request) -> Response:
        """Return whether the twin decides."""
        Query(request)
        self._check_ready()
        if (trouble := self._service.present.trouble) is not None:
            raise HttpError.later(503, trouble, 5)
        present = self._service.present
        if present.collecting is None:
            return JSONResponse({"status": "ready", "closed": present.closed})
        there = present.collecting.as_dict()
        status = "collecting history"
        return JSONResponse({"status": status, "closed": present.closed, "collecting": there})

    def _check_ready(self) -> None:
        self._service.check_ready()

    async def _read(
        self,
        key: str,
        begin: Callable[[LivingTwin], Callable[[], T]],
        told: Callable[[T], dict[str, Any]],
    ) -> Response:
        """Return what is read of files, beside the twin and one answer at a time."""

        async def make() -> bytes:
            read = await self._service.ask(begin)
            async with self._reading:
                return await asyncio.to_thread(lambda: encoded(told(read())))

        return Response(await self._service.cache.get(key, make, math.inf), media_type=_JSON)

    async def _cached(
        self, key: str, job: Callable[[LivingTwin], Any], young_s: float = 1.0
    ) -> Response:
        async def make() -> bytes:
            value = await self._service.ask(job)
            return await asyncio.to_thread(encoded, value)

        return Response(await self._service.cache.get(key, make, young_s), media_type=_JSON)
