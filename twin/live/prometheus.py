"""Samples that a Prometheus server is asked for, as `telemetry.prometheus` and `query` say.

The value of a query at an instant looks back from it, as `rate(x[5m])` does: it is the sample of
the time before, one step long. A reading of a counter is of the instant itself.
"""

from __future__ import annotations

import json
import math
import time
from http.client import HTTPResponse
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from twin.core.errors import InputError, Problem, TwinError, one_line
from twin.live.formats.reading import MOST_BYTES, Columns, Reading
from twin.live.samples import Samples
from twin.scenario.load import Scenario
from twin.telemetry.spec import TelemetrySpec

_PATIENCE_S: Final = 30.0
"""How long an answer may take."""
_MOST_STEPS: Final = 10_000
"""Instants that are asked for at once; a server refuses 11,000."""
_LONGEST_SHOWN: Final = 300
_PART: Final = 2**16


class _NoRedirects(HTTPRedirectHandler):
    """Takes a redirect for the answer: the scenario alone says which server is asked."""

    def redirect_request(self, *_: Any) -> None:
        """Return no other request."""


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
        self.every_s = int(telemetry.every or scenario.spec.tick)
        """How often it is to be asked, and the time between two samples."""
        self._reading = Reading.of(scenario)
        before = telemetry.kind == "rate" and scenario.spec.demand.stamp == "start"
        self._shift_s = self.every_s if before else 0
        self._opener = build_opener(_NoRedirects)

    def ask(self, since_s: float, until_s: float) -> Samples:
        """Return the samples of a span of time, seconds since 1970; its end is included.

        Raises PullError. Series without the label of the link have their metric's name.
        """
        first = math.ceil(since_s / self.every_s) * self.every_s
        last = math.floor(until_s / self.every_s) * self.every_s
        columns = Columns()
        step = _MOST_STEPS * self.every_s
        for start in range(first, last + 1, step):
            self._part(start, min(start + step - self.every_s, last), columns)
        return columns.samples()

    def _part(self, start: int, end: int, columns: Columns) -> None:
        asked = {"query": self._query, "start": start, "end": end, "step": self.every_s}
        request = Request(f"{self._url}?{urlencode(asked)}", headers={"Accept": "application/json"})
        answer = _answer(self._fetched(request))
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

    def _fetched(self, request: Request) -> bytes:
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as response:
                return _read(response)
        except HTTPError as error:
            with error:
                said = _said(error.read(10_000)) or error.reason
            raise PullError(f"Prometheus: {said}") from None
        except (URLError, OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            raise PullError(f"Prometheus does not answer: {one_line(str(why))}") from None


def _read(response: HTTPResponse) -> bytes:
    """Return the body of an answer. Raises PullError for one too large, or too slow as a whole."""
    parts, size, begun = [], 0, time.monotonic()
    while part := response.read1(_PART):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise PullError(f"Prometheus: the answer has more than {MOST_BYTES} bytes")
        if time.monotonic() - begun > _PATIENCE_S:
            raise PullError(f"Prometheus: the answer takes longer than {_PATIENCE_S:g} s")
    return b"".join(parts)


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
