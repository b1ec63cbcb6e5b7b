"""What an ONNX file is made of, as far as it has to be known before it is loaded.

An ONNX file is one protobuf message. Its weights may lie in other files, which the digest on a card
does not cover.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_NESTED: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Which fields of each message hold messages that may hold a tensor."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
"""The fields of a tensor that say that its numbers lie elsewhere."""


def has_external_data(data: bytes) -> bool:
    """Return whether a tensor of a model keeps its numbers in another file.

    Raises ValueError where `data` is no protobuf message, unless it cannot name a file at all.
    """
    # The key under which a tensor names its file; most models spare us the walk.
    if b"location" not in data:
        return False
    messages: list[tuple[str, memoryview]] = [("model", memoryview(data))]
    while messages:
        kind, message = messages.pop()
        for field, value in _fields(message):
            if kind == "tensor" and (
                field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)
            ):
                return True
            inner = _NESTED.get(kind, {}).get(field)
            if inner is not None and isinstance(value, memoryview):
                messages.append((inner, value))
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field; a value of fixed length comes as bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        match key & 7:
            case 0:
                value, place = _varint(message, place)
                yield key >> 3, value
                continue
            case 1:
                size = 8
            case 2:
                size, place = _varint(message, place)
            case 5:
                size = 4
            case other:
                raise ValueError(f"a field is of the unknown type {other}")
        if place + size > len(message):
            raise ValueError("it is cut short")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number written at `place`, seven bits a byte, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is cut short")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number in it has no end")
