"""Samples that a Prometheus server is asked for, as `telemetry.prometheus` and `query` say.

The value of a query at an instant looks back from it, as `rate(x[5m])` does: it is the sample of
the time before, one step long. A reading of a counter is of the instant itself.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import ssl
from typing import Any, Final

from twin.core.errors import InputError, Problem, TwinError, one_line
from twin.live.formats.reading import MOST_BYTES, Columns, Reading
from twin.live.samples import Samples
from twin.scenario.load import Scenario
from twin.telemetry.spec import TelemetrySpec

_PATIENCE_S: Final = 30.0
"""How long an answer may take, from the first word to the last."""
_MOST_STEPS: Final = 10_000
"""Instants that are asked for at once; a server refuses 11,000."""
_MOST_ASKED: Final = 200_000
"""Samples that are asked for at once: what a long outage has left comes in parts."""
_MOST_SAID: Final = 10_000
"""Bytes of an answer that says what is wrong."""
_LONGEST_SHOWN: Final = 300


class PullError(TwinError):
    """Prometheus did not answer as it should; it is asked again the next time."""


class PrometheusPull:
    """Asks a Prometheus server for what has come since it was asked last."""

    def __init__(self, scenario: Scenario) -> None:
        """Raise InputError for a scenario that names no server."""
        telemetry = scenario.spec.telemetry or TelemetrySpec()
        if telemetry.prometheus is None or telemetry.query is None:
            what = "names no Prometheus server to ask"
            raise InputError(scenario.place(Problem(what, ("telemetry",))))
        self._url = telemetry.prometheus.rstrip("/") + "/api/v1/query_range"
        self._query = telemetry.query
        tick_s = scenario.spec.tick
        self.every_s = int(telemetry.every or tick_s)
        """How often it is to be asked, and the time between two samples."""
        self.after_s = min(self.every_s / 10, telemetry.grace_s(tick_s) / 2)
        """How long after an instant it is asked for: what was measured has to be stored by then,
        and what is answered has to come before the interval closes."""
        self._reading = Reading.of(scenario)
        before = telemetry.kind == "rate" and scenario.spec.demand.stamp == "start"
        self._shift_s = self.every_s if before else 0
        series = len(scenario.trace.links) * max(len(telemetry.metrics), 1)
        self._steps = min(max(_MOST_ASKED // series, 1), _MOST_STEPS)

    def ask(self, since_s: float, until_s: float) -> tuple[Samples, float]:
        """Return samples of a span of time, and how far they reach, seconds since 1970.

        The end of the span is included. Of a long one only the first part is asked for. Raises
        PullError. Series without the label of the link have their metric's name.
        """
        first = math.ceil(since_s / self.every_s) * self.every_s
        last = math.floor(until_s / self.every_s) * self.every_s
        last = min(last, first + (self._steps - 1) * self.every_s)
        columns = Columns()
        if first <= last:
            self._read(first, last, columns)
        return columns.samples(), last

    def _read(self, start: int, end: int, columns: Columns) -> None:
        asked = {"query": self._query, "start": start, "end": end, "step": self.every_s}
        answer = _answer(self._fetched(asked))
        if answer.get("resultType") != "matrix":
            raise PullError(f"Prometheus: the query gives a {answer.get('resultType')}, no series")
        try:
            for series in answer["result"]:
                labels = series["metric"]
                metric = labels.get("__name__", "")
                link = labels.get(self._reading.label, metric or "a series without labels")
                for time_s, value in series["values"]:
                    kpi = self._reading.kpi(metric)
                    columns.add(link, kpi, float(time_s) - self._shift_s, float(value))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise PullError("Prometheus: the answer holds no series as its API has them") from None
        except InputError as error:
            raise PullError(f"Prometheus: the answer {error}") from None

    def _fetched(self, asked: dict[str, Any]) -> bytes:
        import httpx

        async def within_time() -> bytes:
            # Each wait of a socket has a limit too, but a server that sends a byte now and then,
            # of its head or its body, would keep to that for ever.
            async with asyncio.timeout(_PATIENCE_S):
                return await _fetched(self._url, asked)

        try:
            return asyncio.run(within_time())
        except TimeoutError:
            raise PullError(f"Prometheus: no answer within {_PATIENCE_S:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise PullError(f"Prometheus does not answer: {_first_cause(error)}") from None


def _first_cause(error: BaseException) -> str:
    """Return what is at the bottom of an error of several layers, such as 'Connection refused'."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    number = error.errno if isinstance(error, OSError) else None
    # Numbers below 0 are of another list, that of names which cannot be found.
    said = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None)
    return one_line(said or str(error) or type(error).__name__)


async def _fetched(url: str, asked: dict[str, Any]) -> bytes:
    """Return the body of an answer. Raises PullError, and what httpx does."""
    import httpx

    # The scenario alone says which server is asked: no redirect, and no proxy of the environment.
    # Nothing is packed, so that what comes is as large as it looks.
    client = httpx.AsyncClient(
        timeout=_PATIENCE_S, verify=ssl.create_default_context(), trust_env=False
    )
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with client, client.stream("GET", url, params=asked, headers=headers) as response:
        fine = response.status_code == 200
        most = MOST_BYTES if fine else _MOST_SAID
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > most:
                break
        if not fine:
            raise PullError(f"Prometheus: {_said(bytes(body)) or response.reason_phrase}")
        if len(body) > most:
            raise PullError(f"Prometheus: the answer has more than {most} bytes")
        return bytes(body)


def _answer(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
        if answer["status"] == "success" and isinstance(answer["data"], dict):
            return dict(answer["data"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise PullError(f"Prometheus: {_said(data) or 'the answer is none of its API'}")


def _said(data: bytes) -> str:
    """Return the error that an answer states, if it does."""
    try:
        return one_line(str(json.loads(data)["error"]))[:_LONGEST_SHOWN]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
