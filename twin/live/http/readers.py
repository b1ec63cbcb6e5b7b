"""Which reader takes which body: by its content type, and for remote write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twin.live.formats import influx, json_lines, remote_write, tables
from twin.live.formats.reading import MOST_BYTES, Reading
from twin.live.http.errors import HttpError
from twin.live.samples import Samples
from twin.scenario.load import Scenario

Reader = Callable[[bytes], Samples]
"""Raises InputError with the line of what is wrong."""

PRECISIONS: Final = tuple(influx.PER_SECOND)
"""Units of time stamps in line protocol."""
_LINES: Final = ("application/x-ndjson", "application/jsonl", "application/json")
_TABLE: Final = "text/csv"
_INFLUX: Final = ("text/plain", "application/vnd.influx")
CONTENT_TYPES: Final = (*_LINES, _TABLE, *_INFLUX)
"""What is taken, beside remote write."""
_LONGEST_LENGTH: Final = 5
"""Bytes of the length that a snappy block begins with."""


class Readers:
    """The readers of a twin's telemetry."""

    def __init__(self, scenario: Scenario) -> None:
        self._reading = Reading.of(scenario)

    def of(self, content_type: str, precision: str, now_s: float) -> Reader | None:
        """Return the reader of a content type, None for one that is not taken.

        Time stamps of line protocol are in units of `precision`; a line without one is of now.
        """
        if content_type in _LINES:
            return partial(json_lines.read, reading=self._reading)
        if content_type == _TABLE:
            return partial(tables.read, reading=self._reading)
        if content_type in _INFLUX:
            return partial(influx.read, reading=self._reading, precision=precision, now_s=now_s)
        return None

    def remote_write(self, body: bytes) -> Samples:
        """Return the samples of what Prometheus writes. Raises HttpError and InputError."""
        if stated_length(body) > MOST_BYTES:
            what = f"is larger than {MOST_BYTES:,} bytes once it is unpacked"
            raise HttpError(413, what, "body", "lower max_samples_per_send")
        return remote_write.read(body, self._reading)


def stated_length(body: bytes) -> int:
    """Return the length that a block of snappy states; 0 where it states none."""
    length = 0
    for place, byte in enumerate(body[:_LONGEST_LENGTH]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return length
    return 0
