"""The recipe of a small network on the same windows as the bidirectional LSTM's.

Two hidden layers: a thousandth of the multiply-adds, for many links or little hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

from twin.forecast.card import Normalisation
from twin.forecast.train import load_recipe

_bilstm = load_recipe(Path(__file__).with_name("bilstm.py"))

WINDOW = 10
EPOCHS = 30
GENERATED_EPOCHS = 5
GENERATED_WINDOWS = 330
"""Of each link: other windows teach more than the same ones again."""
NORMALISATION = Normalisation()
VERSIONS = _bilstm.VERSIONS


def network(window: int, depth: int, unroll: bool) -> Any:  # noqa: ARG001
    """Return the untrained network, [batch, window, depth] to [batch, 1]."""
    inputs = keras.Input((window, depth))
    hidden = keras.layers.Flatten()(inputs)
    for units in (128, 64):
        hidden = keras.layers.Dense(units, activation="silu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(hidden))


fit: Callable[..., tuple[Any, int]] = partial(
    _bilstm.fit, build=network, rate=2e-3, batch=256, patience=6
)
predict: Callable[..., Any] = _bilstm.predict
export: Callable[..., dict[str, int]] = partial(_bilstm.export, build=network, nodes=0)
