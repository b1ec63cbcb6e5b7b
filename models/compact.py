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

from twin.forecast.training.samples import Varied
from twin.forecast.training.train import load_recipe

_bilstm = load_recipe(Path(__file__).with_name("bilstm.py"))

WINDOW = 24
EPOCHS = 30
GENERATED_EPOCHS = 8
VARIED = Varied(links=2_400, windows=300)
STEPS = _bilstm.STEPS
NORMALISATION = _bilstm.NORMALISATION
VERSIONS = _bilstm.VERSIONS
_MEMBERS = 4


def network(window: int, depth: int, unroll: bool) -> Any:  # noqa: ARG001
    """Return the untrained network, [batch, window, depth] to [batch, members, steps]."""
    inputs = keras.Input((window, depth))
    answers = []
    for _ in range(_MEMBERS):
        hidden = keras.layers.Flatten()(inputs)
        for units in (128, 64):
            hidden = keras.layers.Dense(units, activation="silu")(hidden)
        answers.append(keras.layers.Dense(len(STEPS), kernel_initializer="zeros")(hidden))
    return keras.Model(inputs, keras.ops.stack(answers, axis=1))


def averaged(window: int, depth: int, unroll: bool) -> Any:
    """Return a network with the weights of network() that answers with the mean, [batch, steps]."""
    members = network(window, depth, unroll)
    mean = keras.ops.mean(members.output, axis=1)
    return keras.Model(members.input, mean)


def error(target: Any, answers: Any) -> Any:
    """Return the mean of the members' errors, [batch]."""
    apart = _bilstm.distance(keras.ops.expand_dims(target, 1), answers)
    return keras.ops.mean(apart[:, :, 0] + keras.ops.mean(apart, axis=-1), axis=-1) / 2


def predict(model: Any, inputs: Any) -> Any:
    """Return the mean of what the members answer, [windows, steps]."""
    return _bilstm.predict(model, inputs).mean(axis=1)


fit: Callable[..., tuple[Any, int]] = partial(
    _bilstm.fit, build=network, loss=error, rate=2e-3, batch=512, patience=6
)
export: Callable[..., dict[str, int]] = partial(_bilstm.export, build=averaged, nodes=0)
