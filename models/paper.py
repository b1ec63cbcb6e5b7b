"""The recipe of the paper as printed, to show what normalised windows are worth.

Sengendo and Granelli, "AI-Enabled Digital Twins for Next-Generation Networks": plain values in
and out, squared error, Adam at 1e-4, batches of 32, up to 30 epochs, stopped after 5 without a
gain, a rate that falls on a plateau, the last fifth of the training part for validation.
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

SOURCE = "default facility"
WINDOW = 10
EPOCHS = 30
NORMALISATION = Normalisation(reference="none")
VERSIONS = _bilstm.VERSIONS
_PATIENCE = 5
_PLATEAU = 2
"""Epochs without a gain after which the rate is halved; the paper does not say."""


def network(window: int, depth: int, unroll: bool) -> Any:
    """Return the untrained network, its last layer as Keras initialises it by default."""
    model = _bilstm.network(window, depth, unroll, steps=1)
    last = model.layers[-1]
    last.kernel.assign(keras.initializers.GlorotUniform()(last.kernel.shape))
    return model


def fit(
    training: Any,
    validation: Any,
    seed: int,
    epochs: int,
    report: Callable[[str], None],
    checkpoint: Any,
) -> tuple[Any, int]:
    """Return the trained network, as it was in its best epoch, and the epochs run."""
    _bilstm.start(seed)
    model = network(*training.inputs.shape[1:], True)
    model.compile(keras.optimizers.Adam(1e-4), "mse", jit_compile=False)
    run = _bilstm.descend(
        model, training, validation, seed, epochs, report, checkpoint,
        batch=32, patience=_PATIENCE, weighted=False, after=_halved,
    )  # fmt: skip
    return model, run


def _halved(optimizer: Any, waited: int) -> None:
    if waited and waited % _PLATEAU == 0:
        optimizer.learning_rate = float(optimizer.learning_rate) / 2


predict: Callable[..., Any] = _bilstm.predict
export: Callable[..., dict[str, int]] = partial(_bilstm.export, build=network)
