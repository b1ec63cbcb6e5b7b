"""The recipe of a small bidirectional LSTM on a longer window and on the seasons ahead of it.

To be trained on the trace that it will forecast: what it reads is then worth a recurrent network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

from twin.forecast.card import Normalisation
from twin.forecast.training.train import load_recipe

_bilstm = load_recipe(Path(__file__).with_name("bilstm.py"))

WINDOW = 24
EPOCHS = 20
STEPS = _bilstm.STEPS
NORMALISATION = Normalisation(channels=("season", "second_season", "level"))
VERSIONS = _bilstm.VERSIONS


def network(window: int, depth: int, unroll: bool) -> Any:
    """Return the untrained network, [batch, window, depth] to [batch, steps]."""
    inputs = keras.Input((window, depth))
    lstm = keras.layers.LSTM(32, unroll=unroll)
    hidden = keras.layers.Bidirectional(lstm)(inputs)
    hidden = keras.layers.Dropout(0.2)(hidden)
    hidden = keras.layers.Dense(32, activation="silu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(len(STEPS), kernel_initializer="zeros")(hidden))


_HOW = {"build": network, "rate": 2e-3, "patience": 6}
fit: Callable[..., tuple[Any, int]] = partial(_bilstm.fit, **_HOW)
refit: Callable[..., Any] = partial(_bilstm.again, **_HOW)
predict: Callable[..., Any] = _bilstm.predict
export: Callable[..., dict[str, int]] = partial(_bilstm.export, build=network, nodes=1)
