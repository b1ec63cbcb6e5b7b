"""The recipe of gradient boosted trees on a longer window and on the seasons ahead of it.

Friedman 2001, as scikit-learn has it (histograms, least absolute error). Worth most where it is
trained on the trace that it will forecast; on the many windows of generated links, trees grow
larger and faster. Needs scikit-learn and onnx.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import sklearn
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import HistGradientBoostingRegressor

from twin.forecast.card import Normalisation

WINDOW = 24
EPOCHS = 250
NORMALISATION = Normalisation(channels=("season", "second_season", "level"))
OPSET = 18
VERSIONS = {
    "scikit-learn": sklearn.__version__,
    "onnx": onnx.__version__,
    "python": platform.python_version(),
}
_PREFERRED = 0.99
"""Telling the change from the last value generalises better than a short validation shows."""
_MANY = 100_000
"""Windows from which on trees are grown as for many unlike links."""


class Trees(NamedTuple):
    """Boosted trees, and what is taken for granted of the answer: 1 x the last value's input.

    With 1 the trees tell the change from the last value, with 0 that from the reference.
    """

    boosted: Any
    last: float
    shape: tuple[int, int]


def fit(
    training: Any,
    validation: Any,
    seed: int,
    epochs: int,
    report: Callable[[str], None],
    checkpoint: Any,  # noqa: ARG001
) -> tuple[Trees, int]:
    """Return the trees that err least in the validation windows, and how many they are.

    How many they are is not chosen there: too few windows tell 50 trees from 500 by chance.
    """
    kinds = []
    many = len(training.inputs) >= _MANY
    for last, bonus in ((0.0, 1.0),) if many else ((1.0, _PREFERRED), (0.0, 1.0)):
        trees = _grown(training, seed, epochs, last)
        answers = predict(trees, validation.inputs)[:, 0]
        error = (np.abs(validation.targets[:, 0] - answers) * validation.weights).mean()
        report(f"{epochs} trees beside {last:g} x the last value: validation {error:.4f}")
        kinds.append((error * bonus, trees))
    return min(kinds, key=lambda each: each[0])[1], epochs


def refit(
    model: Trees, samples: Any, seed: int, count: int, report: Callable[[str], None]
) -> Trees:
    """Return `count` trees like those of `model`, fitted on `samples`."""
    report(f"{count} trees on {len(samples.inputs)} windows")
    return _grown(samples, seed, count, model.last)


def _grown(samples: Any, seed: int, count: int, last: float) -> Trees:
    many = len(samples.inputs) >= _MANY
    boosted = HistGradientBoostingRegressor(
        loss="absolute_error",
        learning_rate=0.1 if many else 0.04,
        max_iter=count,
        max_leaf_nodes=48 if many else 16,
        min_samples_leaf=100 if many else 40,
        l2_regularization=5.0,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )
    targets = samples.targets[:, 0] - last * samples.inputs[:, -1, 0]
    boosted.fit(_flat(samples.inputs), targets, sample_weight=samples.weights)
    return Trees(boosted, last, samples.inputs.shape[1:])


def _flat(inputs: Any) -> Any:
    return inputs.reshape(len(inputs), -1)


def predict(model: Trees, inputs: Any) -> Any:
    """Return what the graph should answer, [windows, 1]."""
    answers = model.boosted.predict(_flat(inputs)) + model.last * inputs[:, -1, 0]
    return answers.reshape(-1, 1)


def export(model: Trees, path: Path) -> dict[str, int]:
    """Write the trees as ONNX to `path`; return what the card says about the graph."""
    tree_attributes = _ensemble(model.boosted)
    last = np.zeros((np.prod(model.shape), 1), dtype=np.float32)
    last[(model.shape[0] - 1) * model.shape[1]] = model.last
    nodes = [
        helper.make_node("Flatten", ["window"], ["flat"]),
        helper.make_node(
            "TreeEnsembleRegressor", ["flat"], ["grown"], domain="ai.onnx.ml", **tree_attributes
        ),
        helper.make_node("Gemm", ["flat", "last", "grown"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [None, *model.shape])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(last, "last")],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    leaves = len(tree_attributes["target_weights"])
    return {"parameters": leaves, "lstm_nodes": 0, "opset": OPSET}


def _ensemble(boosted: Any) -> dict[str, Any]:
    """Return the attributes of a TreeEnsembleRegressor that answers as `boosted` does."""
    grown = [each[0].nodes for each in boosted._predictors]
    nodes = np.concatenate(grown)
    tree = np.repeat(np.arange(len(grown)), [len(each) for each in grown])
    place = np.concatenate([np.arange(len(each)) for each in grown])
    leaf = nodes["is_leaf"].astype(bool)
    # Inputs are float32: the largest float32 up to a threshold parts them as it does.
    exact = np.where(leaf, 0, nodes["num_threshold"])
    near = exact.astype(np.float32)
    near = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
    return {
        "base_values": boosted._baseline_prediction.reshape(-1).tolist(),
        "n_targets": 1,
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": place.tolist(),
        "nodes_featureids": np.where(leaf, 0, nodes["feature_idx"]).tolist(),
        "nodes_modes": ["LEAF" if last else "BRANCH_LEQ" for last in leaf],
        "nodes_values": near.tolist(),
        "nodes_truenodeids": np.where(leaf, 0, nodes["left"]).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, nodes["right"]).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": place[leaf].tolist(),
        "target_ids": np.zeros(int(leaf.sum()), dtype=np.int64).tolist(),
        "target_weights": nodes["value"][leaf].tolist(),
    }
