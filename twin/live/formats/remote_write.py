"""Prometheus remote write, version 1: a snappy block with a protobuf message.

The message is four nested kinds of field, which are read here: `WriteRequest.timeseries` (1) with
`labels` (1: `name` 1, `value` 2) and `samples` (2: `value` 1, `timestamp` 2 in milliseconds). All
others are passed over. A generated reader would be a dependency for that, and would make an object
of every label. What snappy would unpack to stands before it, and is bounded before it is unpacked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from twin.core.errors import InputError
from twin.live.formats.reading import MOST_BYTES, Columns, Reading, refuse_large
from twin.live.samples import Samples

_MOST_LABELS: Final = 128
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_DOUBLE: Final = struct.Struct("<d")
_NAME: Final = b"__name__"


def read(data: bytes, reading: Reading) -> Samples:
    """Return the samples of a body. Series without the label of the link count by their metric.

    Raises InputError for what is no such message.
    """
    refuse_large(data)
    message = unpacked(data)
    columns = Columns()
    try:
        for number, _, start, stop in _fields(message, 0, len(message)):
            if number == 1:
                _series(message, start, stop, columns, reading)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise InputError("is no message of Prometheus remote write") from None
    return columns.samples()


def unpacked(data: bytes) -> bytes:
    """Return what a snappy block holds. Raises InputError, also for more than is taken."""
    import pyarrow as pa

    try:
        size, start = _varint(data, 0)
    except IndexError:
        raise InputError("is no snappy block: it ends in its length") from None
    if size > MOST_BYTES:
        raise InputError(f"unpacks to {size} bytes, more than {MOST_BYTES}; send less at a time")
    # A byte of a block makes at most 64 / 3 bytes, since a copy of 64 takes three.
    if size > (len(data) - start) * 22:
        raise InputError("is no snappy block: it is shorter than what it says it holds")
    try:
        return bytes(pa.decompress(data, size, "snappy", asbytes=True))
    except (pa.ArrowException, OSError, ValueError):
        raise InputError("is no snappy block, which remote write is packed in") from None


def _series(data: bytes, start: int, stop: int, columns: Columns, reading: Reading) -> None:
    label = reading.label.encode()
    link = metric = None
    labels = 0
    samples: list[tuple[float, float]] = []
    for number, kind, first, last in _fields(data, start, stop):
        if kind != _BYTES:
            continue
        if number == 1:
            labels += 1
            if labels > _MOST_LABELS:
                raise InputError(f"has a series with more than {_MOST_LABELS} labels")
            name, value = _pair(data, first, last)
            if name == label:
                link = value.decode()
            elif name == _NAME:
                metric = value.decode()
        elif number == 2:
            samples.append(_sample(data, first, last))
    metric = metric or ""
    for time_s, measured in samples:
        columns.add(metric if link is None else link, reading.kpi(metric), time_s, measured)


def _pair(data: bytes, start: int, stop: int) -> tuple[bytes, bytes]:
    """Return name and value of a label."""
    name = value = b""
    for number, kind, first, last in _fields(data, start, stop):
        if kind == _BYTES and number == 1:
            name = data[first:last]
        elif kind == _BYTES and number == 2:
            value = data[first:last]
    return name, value


def _sample(data: bytes, start: int, stop: int) -> tuple[float, float]:
    """Return time, seconds, and value of a sample; both are 0 where they are absent."""
    value, time_ms = 0.0, 0
    for number, kind, first, _ in _fields(data, start, stop):
        if number == 1 and kind == _FIXED_64:
            value = _DOUBLE.unpack_from(data, first)[0]
        elif number == 2 and kind == _VARINT:
            time_ms = _varint(data, first)[0]
            time_ms -= (time_ms >> 63) << 64
    return time_ms / 1000, value


def _fields(data: bytes, place: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, kind, start and end of each field. Raises IndexError for one that is cut off.

    Of a varint the start is that of its value.
    """
    while place < stop:
        key, place = _varint(data, place)
        kind, start = key & 7, place
        if kind == _VARINT:
            _, place = _varint(data, place)
        elif kind == _FIXED_64:
            place += 8
        elif kind == _FIXED_32:
            place += 4
        elif kind == _BYTES:
            length, start = _varint(data, place)
            place = start + length
        else:
            raise IndexError(place)
        if place > stop:
            raise IndexError(place)
        yield key >> 3, kind, start, place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a whole number of up to 64 bits and the place after it. Raises IndexError."""
    byte = data[place]
    if byte < 128:
        return byte, place + 1
    number, shift = byte & 127, 7
    while True:
        place += 1
        byte = data[place]
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise IndexError(place)
    return number & 0xFFFF_FFFF_FFFF_FFFF, place + 1
