"""Small ONNX files, written field by field: a protobuf message is a row of numbered fields."""

from __future__ import annotations

FLOAT, INT = 1, 2
"""Of a tensor's numbers; of an attribute."""


def field(number: int, value: int | str | bytes) -> bytes:
    """Return one field of a message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tensor_type(shape: tuple[int | str, ...]) -> bytes:
    """Return the type of a tensor of floats; an axis of any length has a name."""
    axes = [field(1, field(1 if isinstance(axis, int) else 2, axis)) for axis in shape]
    return field(1, field(1, FLOAT) + field(2, b"".join(axes)))


def sequence_type(shape: tuple[int | str, ...]) -> bytes:
    """Return the type of a sequence of tensors."""
    return field(4, field(1, tensor_type(shape)))


def node(operator: str, inputs: list[str], output: str, **attributes: int) -> bytes:
    """Return a node of a graph."""
    given = [
        field(5, field(1, name) + field(3, value) + field(20, INT))
        for name, value in attributes.items()
    ]
    named = [*(field(1, name) for name in inputs), field(2, output), field(4, operator)]
    return b"".join([*named, *given])


def external(name: str, shape: tuple[int, ...], location: str) -> bytes:
    """Return a tensor whose numbers lie in another file."""
    dims = b"".join(field(1, axis) for axis in shape)
    entry = field(13, field(1, "location") + field(2, location))
    return dims + field(2, FLOAT) + field(8, name) + entry + field(14, 1)


def model(
    shape: tuple[int | str, ...], nodes: list[bytes], answers: bytes, weights: bytes | None = None
) -> bytes:
    """Return a model from `x`, of a shape, to `y`, of the type `answers`."""
    graph = [
        *(field(1, each) for each in nodes),
        field(2, "made"),
        field(5, weights) if weights else b"",
        field(11, field(1, "x") + field(2, tensor_type(shape))),
        field(12, field(1, "y") + field(2, answers)),
    ]
    return field(1, 8) + field(8, field(2, 13)) + field(7, b"".join(graph))
