"""What Prometheus sends by remote write, version 1, made field by field."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import pyarrow as pa


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def series(labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> bytes:
    """One series with its samples: times in seconds since 1970, and values."""
    parts = [
        field(1, field(1, name.encode()) + field(2, value.encode()))
        for name, value in labels.items()
    ]
    for time_s, value in samples:
        stamp = varint(int(time_s * 1000) & 0xFFFF_FFFF_FFFF_FFFF)
        parts.append(field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + stamp))
    return field(1, b"".join(parts))


def snappy(message: bytes) -> bytes:
    return bytes(pa.compress(message, "snappy", asbytes=True))
