"""How much arithmetic a graph does for one forecast, counted with the `onnx` library."""

from __future__ import annotations

from math import prod
from typing import Final

_RECURRENT: Final = {"LSTM", "GRU", "RNN"}
_DENSE: Final = {"MatMul", "Gemm"}
_UNCOUNTED: Final = {"Conv", "TreeEnsembleRegressor", "TreeEnsemble", "LinearRegressor", "Loop"}


def multiply_adds(model: bytes, window: int) -> int | None:
    """Return the multiply-adds of one forecast by an ONNX file, from a window of `window` samples.

    A recurrent layer multiplies with all its weights at each sample of the window, a dense layer
    with all of its own once. These are nearly all of the work of the networks here, so nothing
    else is counted. None for a graph that computes by other means, such as trees, or whose
    weights are not among its initializers.
    """
    import onnx

    graph = onnx.load_model_from_string(model).graph
    sizes = {tensor.name: prod(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type in _UNCOUNTED:
            return None
        if node.op_type in _RECURRENT:
            # Inputs of a recurrent layer: values, input weights, recurrent weights, biases.
            weights = node.input[1:3]
            if not set(weights) <= sizes.keys():
                return None
            total += window * sum(sizes[name] for name in weights)
        elif node.op_type in _DENSE:
            total += sum(sizes.get(name, 0) for name in node.input[:2])
    return total or None
