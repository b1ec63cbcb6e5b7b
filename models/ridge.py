"""The recipe of the linear forecaster: fitted per link when a run starts, corrected by a ridge.

What a link's own past and seasons tell is in the reference (twin.forecast.reference); the graph
adds what is linear in the window and the same for all links, where that helps at all. Ridge
regression: Hoerl and Kennard 1970. Needs onnx only.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from twin.forecast.card import Normalisation

WINDOW = 10
EPOCHS = 1
STEPS = (1,)
NORMALISATION = Normalisation()
OPSET = 18
VERSIONS = {"onnx": onnx.__version__, "numpy": np.__version__, "python": platform.python_version()}
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_WORTH = 0.99
"""A correction that does not lower the error in the validation windows by this is left out."""


def fit(
    training: Any,
    validation: Any,
    seed: int,  # noqa: ARG001
    epochs: int,
    report: Callable[[str], None],
    checkpoint: Any,  # noqa: ARG001
) -> tuple[Any, int]:
    """Return the weights [window, depth] that err least in the validation windows, and 1."""
    inputs = training.inputs.reshape(len(training.inputs), -1).astype(np.float64)
    weighted = inputs * training.weights[:, None] ** 2
    square, right = weighted.T @ inputs, weighted.T @ training.targets[:, 0]
    best = np.zeros(len(square), dtype=np.float32)
    least = _WORTH * _error(best, validation)
    for penalty in _PENALTIES:
        extra = penalty * np.trace(square) / len(square) * np.eye(len(square))
        weights = np.linalg.solve(square + extra, right).astype(np.float32)
        error = _error(weights, validation)
        report(f"penalty {penalty:g}: validation {error:.4f}")
        if error < least:
            best, least = weights, error
    return best.reshape(training.inputs.shape[1:]), epochs


def _error(weights: Any, samples: Any) -> float:
    answers = samples.inputs.reshape(len(samples.inputs), -1) @ weights
    return float((np.abs(samples.targets[:, 0] - answers) * samples.weights).mean())


def predict(model: Any, inputs: Any) -> Any:
    """Return what the graph should answer, [windows, 1]."""
    return inputs.reshape(len(inputs), -1) @ model.reshape(-1, 1)


def export(model: Any, path: Path) -> dict[str, int]:
    """Write the weights as ONNX to `path`; return what the card says about the graph."""
    nodes = [
        helper.make_node("Flatten", ["window"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "ridge",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [None, *model.shape])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(model.reshape(-1, 1), "weights")],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    return {"parameters": model.size, "lstm_nodes": 0, "opset": OPSET}
