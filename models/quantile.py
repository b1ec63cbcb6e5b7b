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

from twin.forecast.card import MEDIAN, Normalisation
from twin.forecast.training.samples import Varied
from twin.forecast.training.train import load_recipe

_bilstm = load_recipe(Path(__file__).with_name("bilstm.py"))

WINDOW = 10
EPOCHS = 30
GENERATED_EPOCHS = 5
VARIED = Varied(windows=330)
"""Other windows teach more than the same ones again."""
NORMALISATION = Normalisation()
QUANTILES = (0.05, 0.2, MEDIAN, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999)
VERSIONS = _bilstm.VERSIONS
_BELOW = QUANTILES.index(MEDIAN)


def network(window: int, depth: int, unroll: bool) -> Any:  # noqa: ARG001
    """Return the untrained network, [batch, window, depth] to [batch, quantiles]."""
    inputs = keras.Input((window, depth))
    hidden = keras.layers.Flatten()(inputs)
    for units in (64, 32):
        hidden = keras.layers.Dense(units, activation="silu")(hidden)
    median = keras.layers.Dense(1, kernel_initializer="zeros")(hidden)
    apart = keras.layers.Dense(
        len(QUANTILES) - 1,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(-1.0),
        activation="softplus",
    )(hidden)
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
    return keras.Model(inputs, keras.layers.Add()([total, median]))


def pinball(target: Any, answers: Any) -> Any:
    """Return the mean over the levels of the loss whose minimum is the quantile, [batch]."""
    levels = keras.ops.convert_to_tensor(np.array(QUANTILES, dtype=np.float32))
    over = keras.ops.reshape(target, (-1, 1)) - answers
    return keras.ops.mean(keras.ops.maximum(levels * over, (levels - 1) * over), axis=-1)


fit: Callable[..., tuple[Any, int]] = partial(
    _bilstm.fit, build=network, loss=pinball, rate=2e-3, batch=256, patience=6
)
predict: Callable[..., Any] = _bilstm.predict
export: Callable[..., dict[str, int]] = partial(_bilstm.export, build=network, nodes=0)
