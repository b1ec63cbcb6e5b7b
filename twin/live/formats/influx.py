r"""InfluxDB line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.

The link is the value of a tag (`telemetry.link`). The KPI is a field's name, or the measurement
where the field is called `value`. Fields that are no numbers, and lines without that tag, are left
out. Commas, spaces and equal signs in names stand behind a backslash.
"""

from __future__ import annotations

import re
from typing import Final

from twin.core.errors import InputError, show
from twin.live.formats.reading import Columns, Reading, at_line, refuse_large
from twin.live.samples import Samples

PER_SECOND: Final = {"ns": 10**9, "us": 10**6, "u": 10**6, "ms": 1000, "s": 1}
"""How many of a unit of time stamps are a second."""

_KEY: Final = r"(?:\\.|[^\\,= ])+"
_TAGS: Final = re.compile(rf"((?:\\.|[^\\, ])+)((?:,{_KEY}={_KEY})*)")
_TAG: Final = re.compile(rf",({_KEY})=({_KEY})")
_FIELD: Final = re.compile(rf'({_KEY})=("(?:\\.|[^"\\])*"|[^, "]+)')
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?([iu]?)")
_STAMP: Final = re.compile(r"-?\d{1,19}")
_ESCAPED: Final = re.compile(r"\\([,= \\])")
_LEFT_OUT: Final = re.compile(r'".*|[tTfF]|true|True|TRUE|false|False|FALSE', re.DOTALL)


def read(
    data: bytes, reading: Reading, precision: str = "ns", now_s: float | None = None
) -> Samples:
    """Return the samples of a body; `precision` is the unit of its time stamps.

    Lines without one are of the time `now_s`. Raises InputError with the line of what is wrong.
    """
    refuse_large(data)
    if precision not in PER_SECOND:
        raise InputError(f"the precision must be ns, us, ms or s, not {show(precision)}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InputError("is not text in UTF-8") from None
    columns = Columns()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip("\r \t")
        if line and not line.startswith("#"):
            try:
                _add(columns, line, reading, PER_SECOND[precision], now_s)
            except (ValueError, InputError) as error:
                raise at_line(number, error) from None
    return columns.samples()


def _add(
    columns: Columns, line: str, reading: Reading, per_second: int, now_s: float | None
) -> None:
    head = _TAGS.match(line)
    if head is None or line[head.end() : head.end() + 1] != " ":
        raise ValueError("must be 'measurement,tag=value field=number time'")
    place = head.end() + 1
    fields: list[tuple[str, str]] = []
    while True:
        match = _FIELD.match(line, place)
        if match is None:
            raise ValueError(f"has no 'field=number' at character {place + 1}")
        fields.append((match[1], match[2]))
        place = match.end()
        if line[place : place + 1] != ",":
            break
        place += 1
    time_s = _time(line[place:], per_second, now_s)
    tags = {_plain(key): _plain(value) for key, value in _TAG.findall(head[2])}
    for name, written in fields:
        value = _value(written)
        if value is not None and reading.label in tags:
            metric = _plain(head[1]) if name == "value" else _plain(name)
            columns.add(tags[reading.label], reading.kpi(metric), time_s, value)


def _time(rest: str, per_second: int, now_s: float | None) -> float:
    stamp = rest.strip(" ")
    if not stamp and not rest.strip():
        if now_s is None:
            raise ValueError("has no time")
        return now_s
    if rest[:1] != " " or not _STAMP.fullmatch(stamp):
        raise ValueError(f"{show(stamp)} is no time, a whole number")
    return int(stamp) / per_second


def _value(written: str) -> float | None:
    """Return the number that a field holds; None for text and booleans. Raises ValueError."""
    number = _NUMBER.fullmatch(written)
    if number is not None:
        return float(written.rstrip("iu"))
    if _LEFT_OUT.fullmatch(written):
        return None
    raise ValueError(f"{show(written)} is neither a number, nor text in quotes, nor true or false")


def _plain(name: str) -> str:
    return _ESCAPED.sub(r"\1", name) if "\\" in name else name
