"""The recipe of a small network that answers with quantiles of the next value, not one forecast.

Pinball loss on all levels at once; levels cannot cross, since each is the one below it plus
something positive. Quantile regression: Koenker and Bassett 1978.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from twin.forecast.card import MEDIAN
from twin.forecast.training.samples import Varied
from twin.forecast.training.train import load_recipe

_bilstm = load_recipe(Path(__file__).with_name("bilstm.py"))

WINDOW = 10
EPOCHS = 30
GENERATED_EPOCHS = 5
VARIED = Varied(links=1_200, windows=400)
"""Other windows teach more than the same ones again."""
STEPS = _bilstm.STEPS
NORMALISATION = _bilstm.NORMALISATION
QUANTILES = (0.05, 0.2, MEDIAN, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999)
VERSIONS = _bilstm.VERSIONS
_BELOW = QUANTILES.index(MEDIAN)


def network(window: int, depth: int, unroll: bool) -> Any:  # noqa: ARG001
    """Return the untrained network, [batch, window, depth] to [batch, steps x quantiles]."""
    inputs = keras.Input((window, depth))
    hidden = keras.layers.Flatten()(inputs)
    for units in (96, 64):
        hidden = keras.layers.Dense(units, activation="silu")(hidden)
    median = keras.layers.Dense(len(STEPS), kernel_initializer="zeros")(hidden)
    apart = keras.layers.Dense(
        len(STEPS) * (len(QUANTILES) - 1),
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(-1.0),
        activation="softplus",
    )(hidden)
    apart = keras.layers.Reshape((len(STEPS), len(QUANTILES) - 1))(apart)
    # From the distances between neighbours to the distance of each level from the median.
    from_median = np.zeros((len(QUANTILES) - 1, len(QUANTILES)), dtype=np.float32)
    from_median[:_BELOW, :_BELOW] = -np.tri(_BELOW)
    from_median[_BELOW:, _BELOW + 1 :] = np.tri(len(QUANTILES) - 1 - _BELOW).T
    total = keras.layers.Dense(
        len(QUANTILES),
        use_bias=False,
        trainable=False,
        kernel_initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(from_median),  # noqa: ARG005
    )(apart)
    levels = keras.layers.Add()([total, keras.layers.Reshape((len(STEPS), 1))(median)])
    return keras.Model(inputs, keras.layers.Flatten()(levels))


def pinball(target: Any, answers: Any) -> Any:
    """Return the mean over the levels of the loss whose minimum is the quantile, [batch].

    One step ahead it counts as much as all horizons together.
    """
    levels = keras.ops.convert_to_tensor(np.array(QUANTILES, dtype=np.float32))
    answers = keras.ops.reshape(answers, (-1, len(STEPS), len(QUANTILES)))
    target = keras.ops.expand_dims(target, -1)
    over = keras.ops.where(keras.ops.isfinite(target), target, answers) - answers
    loss = keras.ops.mean(keras.ops.maximum(levels * over, (levels - 1) * over), axis=-1)
    return (loss[:, 0] + keras.ops.mean(loss, axis=-1)) / 2


fit: Callable[..., tuple[Any, int]] = partial(
    _bilstm.fit, build=network, loss=pinball, rate=2e-3, batch=256, patience=6
)
predict: Callable[..., Any] = _bilstm.predict
export: Callable[..., dict[str, int]] = partial(_bilstm.export, build=network, nodes=0)
