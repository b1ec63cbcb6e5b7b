"""The recipe of a small network: the mean of a few members with two hidden layers each.

It reads more samples than the bidirectional LSTM and learns from four times as many links, for an
eightieth of the multiply-adds: for many links, or little hardware. The members begin differently
and err differently, so that their mean errs less than each (Hansen and Salamon 1990).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

from twin.forecast.card import Normalisation
from twin.forecast.training.samples import Varied
from twin.forecast.training.train import load_recipe

_bilstm = load_recipe(Path(__file__).with_name("bilstm.py"))

WINDOW = 24
EPOCHS = 30
GENERATED_EPOCHS = 8
VARIED = Varied(links=8_000, windows=150)
NORMALISATION = Normalisation()
VERSIONS = _bilstm.VERSIONS
_MEMBERS = 4


def network(window: int, depth: int, unroll: bool) -> Any:  # noqa: ARG001
    """Return the untrained network, [batch, window, depth] to [batch, members]."""
    inputs = keras.Input((window, depth))
    answers = []
    for _ in range(_MEMBERS):
        hidden = keras.layers.Flatten()(inputs)
        for units in (128, 64):
            hidden = keras.layers.Dense(units, activation="silu")(hidden)
        answers.append(keras.layers.Dense(1, kernel_initializer="zeros")(hidden))
    return keras.Model(inputs, keras.layers.Concatenate()(answers))


def averaged(window: int, depth: int, unroll: bool) -> Any:
    """Return a network with the weights of network() that answers with the mean, [batch, 1]."""
    members = network(window, depth, unroll)
    mean = keras.ops.mean(members.output, axis=-1, keepdims=True)
    return keras.Model(members.input, mean)


def error(target: Any, answers: Any) -> Any:
    """Return the mean of the members' absolute errors, [batch]."""
    return keras.ops.mean(keras.ops.abs(keras.ops.reshape(target, (-1, 1)) - answers), axis=-1)


def predict(model: Any, inputs: Any) -> Any:
    """Return the mean of what the members answer, [windows, 1]."""
    return _bilstm.predict(model, inputs).mean(axis=-1, keepdims=True)


fit: Callable[..., tuple[Any, int]] = partial(
    _bilstm.fit, build=network, loss=error, rate=2e-3, batch=512, patience=6
)
export: Callable[..., dict[str, int]] = partial(_bilstm.export, build=averaged, nodes=0)
