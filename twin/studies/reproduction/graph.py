"""Counts the multiply-adds of an ONNX graph, from the file itself.

ONNX files are protocol buffers (https://protobuf.dev/programming-guides/encoding); of them, this
reads the few fields that say which operators there are and how large their weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Final

_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_INPUT, _OPERATOR = 1, 4
_DIMS, _NAME = 1, 8

_RECURRENT: Final = {"LSTM", "GRU", "RNN"}
_DENSE: Final = {"MatMul", "Gemm"}
_UNCOUNTED: Final = {"Conv", "TreeEnsembleRegressor", "TreeEnsemble", "LinearRegressor", "Loop"}


def multiply_adds(path: Path, window: int) -> int | None:
    """Return the multiply-adds of one forecast, from a window of `window` samples.

    Those of recurrent and dense layers, nearly all of the work of the networks here; None for
    a graph that computes by other means, or of which the weights cannot be found.
    """
    graph = next((value for field, value in _fields(path.read_bytes()) if field == _GRAPH), None)
    if not isinstance(graph, bytes):
        return None
    sizes: dict[str, int] = {}
    nodes: list[tuple[str, list[str]]] = []
    for field, value in _fields(graph):
        if field == _INITIALIZER and isinstance(value, bytes):
            name, size = _weights(value)
            sizes[name] = size
        elif field == _NODE and isinstance(value, bytes):
            nodes.append(_node(value))
    return _counted(nodes, sizes, window)


def _counted(nodes: list[tuple[str, list[str]]], sizes: dict[str, int], window: int) -> int | None:
    total = 0
    for operator, inputs in nodes:
        if operator in _UNCOUNTED:
            return None
        if operator in _RECURRENT:
            if not {inputs[1], inputs[2]} <= sizes.keys():
                return None
            total += window * (sizes[inputs[1]] + sizes[inputs[2]])
        elif operator in _DENSE:
            total += sum(sizes.get(name, 0) for name in inputs[:2])
    return total or None


def _node(data: bytes) -> tuple[str, list[str]]:
    operator, inputs = "", []
    for field, value in _fields(data):
        if field == _INPUT and isinstance(value, bytes):
            inputs.append(value.decode())
        elif field == _OPERATOR and isinstance(value, bytes):
            operator = value.decode()
    return operator, inputs


def _weights(data: bytes) -> tuple[str, int]:
    """Return the name of a tensor and how many numbers it holds."""
    name, dims = "", []
    for field, value in _fields(data):
        if field == _NAME and isinstance(value, bytes):
            name = value.decode()
        elif field == _DIMS:
            dims += [value] if isinstance(value, int) else list(_varints(value))
    return name, prod(dims)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a message; fixed-size ones are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif kind == 2:
            length, at = _varint(data, at)
            yield key >> 3, data[at : at + length]
            at += length
        else:
            at += 8 if kind == 1 else 4


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
