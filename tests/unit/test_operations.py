"""What a card says of a graph's arithmetic is what its nodes and weights come to."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from twin.core import content
from twin.forecast.card import read_card
from twin.forecast.training.operations import multiply_adds

MODELS = content.shipped("models")

needs_onnx = [
    pytest.mark.train,
    pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


def test_every_shipped_model_but_trees_says_what_it_computes() -> None:
    uncounted = {name for name, file in MODELS.items() if read_card(file).multiply_adds is None}
    assert uncounted == {"trees", "trees_traffic"}


class TestCounted:
    pytestmark = needs_onnx

    @pytest.mark.parametrize("file", MODELS.values(), ids=MODELS.keys())
    def test_a_shipped_card_says_what_its_graph_comes_to(self, file: Path) -> None:
        card = read_card(file)
        assert multiply_adds(file.read_bytes(), card.window) == card.multiply_adds

    def test_a_recurrent_layer_counts_at_each_sample_and_a_dense_one_once(self) -> None:
        weights = {"W": (2, 12, 4), "R": (2, 12, 3), "D": (6, 5), "bias": (5,)}
        nodes = [("LSTM", "x W R"), ("MatMul", "h D"), ("Add", "m bias")]
        count = 10 * (2 * 12 * 4 + 2 * 12 * 3) + 6 * 5
        assert multiply_adds(graph(weights, nodes), 10) == count
        assert multiply_adds(graph(weights, [*nodes, ("TreeEnsembleRegressor", "y")]), 10) is None

    def test_weights_that_are_computed_are_not_counted(self) -> None:
        assert multiply_adds(graph({"W": (2, 12, 4)}, [("LSTM", "x W computed")]), 10) is None

    def test_a_graph_without_layers_is_not_counted(self) -> None:
        assert multiply_adds(graph({"bias": (5,)}, [("Add", "x bias")]), 10) is None


def graph(weights: dict[str, tuple[int, ...]], nodes: list[tuple[str, str]]) -> bytes:
    """Return an ONNX file: weights by name and shape, nodes by operator and inputs."""
    import numpy as np
    from onnx import helper, numpy_helper

    proto: Any = helper.make_graph(
        [helper.make_node(operator, inputs.split(), ["y"]) for operator, inputs in nodes],
        "graph", [], [],
        [numpy_helper.from_array(np.zeros(shape), name) for name, shape in weights.items()],
    )  # fmt: skip
    data: bytes = helper.make_model(proto).SerializeToString()
    return data
