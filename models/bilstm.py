"""The recipe of the bidirectional LSTM: some 709,000 parameters with all four KPIs.

Layers of Sengendo and Granelli, "AI-Enabled Digital Twins for Next-Generation Networks"; what it
reads beside the KPIs (the seasons ahead), that it answers for several horizons at once, and the
training (normalised residuals, mean absolute error, decaying rate) are this project's. `paper` is
the network as printed.
Needs TensorFlow, Keras and tf2onnx: ``pip install 'twin[train]'``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from twin.core.errors import RunError
from twin.forecast.card import Normalisation

WINDOW = 10
EPOCHS = 12
GENERATED_EPOCHS = 4
STEPS = (1, 2, 4, 13, 49, 289)
NORMALISATION = Normalisation(channels=("season", "second_season", "level"))
OPSET = 18

VERSIONS = {
    "keras": keras.__version__,
    "tensorflow": tf.__version__,
    "tf2onnx": tf2onnx.__version__,
    "onnx": onnx.__version__,
    "python": platform.python_version(),
}


def network(window: int, depth: int, unroll: bool, steps: int = len(STEPS)) -> Any:
    """Return the untrained network, [batch, window, depth] to [batch, steps]."""
    inputs = keras.Input((window, depth))
    hidden = inputs
    for units, sequences in ((128, True), (128, True), (64, False)):
        lstm = keras.layers.LSTM(units, return_sequences=sequences, unroll=unroll)
        hidden = keras.layers.Bidirectional(lstm)(hidden)
        hidden = keras.layers.BatchNormalization()(hidden)
        hidden = keras.layers.Dropout(0.2)(hidden)
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    # It starts as the forecast that an output of 0 stands for, and learns what to add.
    return keras.Model(inputs, keras.layers.Dense(steps, kernel_initializer="zeros")(hidden))


def distance(target: Any, answers: Any) -> Any:
    """Return target - answers, 0 where the target is not known, as an absolute value."""
    known = keras.ops.isfinite(target)
    return keras.ops.abs(keras.ops.where(known, target, answers) - answers)


def error(target: Any, answers: Any) -> Any:
    """Return the absolute error, [batch]; one step ahead it counts as much as all horizons."""
    apart = distance(target, answers)
    return (apart[:, 0] + keras.ops.mean(apart, axis=-1)) / 2


def fit(
    training: Any,
    validation: Any,
    seed: int,
    epochs: int,
    report: Callable[[str], None],
    checkpoint: Any,
    build: Callable[[int, int, bool], Any] = network,
    loss: Any = error,
    rate: float = 6e-4,
    batch: int = 128,
    patience: int = 4,
) -> tuple[Any, int]:
    """Return the trained network, as it was in its best epoch, and the epochs run.

    `training` and `validation` have `inputs`, `targets` and `weights`, as Samples in
    twin.forecast.training.samples; `checkpoint` keeps the state from epoch to epoch.
    """
    start(seed)
    model = build(*training.inputs.shape[1:], True)
    steps = -(-len(training.inputs) // batch)
    decay = keras.optimizers.schedules.CosineDecay(rate, steps * epochs, alpha=0.02)
    # XLA compiles longer than it saves, and these graphs are what runs fastest on a CPU.
    optimizer = keras.optimizers.Adam(decay, clipnorm=1.0)
    model.compile(optimizer, loss, jit_compile=False)
    run = descend(model, training, validation, seed, epochs, report, checkpoint, batch, patience)
    return model, run


class _Nowhere:
    """No checkpoint."""

    def load(self) -> None: ...
    def save(self, arrays: Any) -> None: ...
    def remove(self) -> None: ...


def again(
    model: Any,  # noqa: ARG001
    samples: Any,
    seed: int,
    run: int,
    report: Callable[[str], None],
    patience: int = 4,
    **how: Any,
) -> Any:
    """Return a network fitted on `samples`, for as long as was good in `run` epochs before."""
    epochs = max(run - patience, 1)
    return fit(samples, samples, seed, epochs, report, _Nowhere(), patience=epochs, **how)[0]


def start(seed: int) -> None:
    """Make what follows reproducible."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def descend(
    model: Any,
    training: Any,
    validation: Any,
    seed: int,
    epochs: int,
    report: Callable[[str], None],
    checkpoint: Any,
    batch: int,
    patience: int,
    weighted: bool = True,
    after: Callable[[Any, int], None] | None = None,
) -> int:
    """Train `model` until its loss in the validation windows stops falling; return the epochs.

    Each epoch depends on nothing but the state that `checkpoint` keeps and on its number, so a
    run that goes on after a break ends where it would have. `after` may change the optimizer,
    told how many epochs were no better than the best. Raises RunError for a loss of NaN.
    """
    model.optimizer.build(model.trainable_variables)
    state = [*model.variables, *model.optimizer.variables]
    best, least, first, waited = model.get_weights(), np.inf, 0, 0
    if (kept := checkpoint.load()) is not None:
        first, waited, least = int(kept[0]), int(kept[1]), float(kept[2])
        best, current = kept[3 : 3 + len(best)], kept[3 + len(best) :]
        for variable, value in zip(state, current, strict=True):
            variable.assign(value)
        report(f"going on after epoch {first}")
    judged = (validation.inputs, validation.targets, validation.weights)[: 2 + weighted]
    for epoch in range(first, epochs):
        if waited >= patience:
            break
        order = np.random.default_rng((seed, epoch)).permutation(len(training.inputs))
        keras.utils.set_random_seed(seed * 1_000 + epoch)
        log = model.fit(
            training.inputs[order],
            training.targets[order],
            sample_weight=training.weights[order] if weighted else None,
            validation_data=judged,
            batch_size=batch,
            shuffle=False,
            verbose=0,
        ).history
        loss, reached = log["loss"][0], log["val_loss"][0]
        report(f"epoch {epoch + 1} of {epochs}: loss {loss:.4f}, validation {reached:.4f}")
        if not np.isfinite((loss, reached)).all():
            checkpoint.remove()
            raise RunError(f"the training diverged: a loss of NaN in epoch {epoch + 1}")
        waited += 1
        if reached < least:
            best, least, waited = model.get_weights(), reached, 0
        if after is not None:
            after(model.optimizer, waited)
        first = epoch + 1
        values = [variable.numpy() for variable in state]
        checkpoint.save([first, waited, least, *best, *values])
    model.set_weights(best)
    return first


def predict(model: Any, inputs: Any) -> Any:
    """Return what the network answers, [windows, values]."""
    return np.asarray(model.predict(inputs, batch_size=1024, verbose=0))


def export(
    model: Any, path: Path, build: Callable[[int, int, bool], Any] = network, nodes: int = 3
) -> dict[str, int]:
    """Write the network as ONNX to `path`; return what the card says about the graph.

    Raises RunError where the graph does not have `nodes` fused LSTM nodes.
    """
    # Only a network that is not unrolled is exported as fused nodes, 2-3 times faster.
    folded = build(*model.input_shape[1:], False)
    folded.set_weights(model.get_weights())
    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="window")
    graph = tf.function(
        lambda window: folded(window, training=False), input_signature=[spec], autograph=False
    )
    proto, _ = tf2onnx.convert.from_function(graph, input_signature=[spec], opset=OPSET)
    kinds = [node.op_type for node in proto.graph.node]
    if kinds.count("LSTM") != nodes or {"Loop", "Scan"} & set(kinds):
        raise RunError(f"the exported graph has {kinds.count('LSTM')} LSTM nodes, not {nodes}")
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    return {"parameters": model.count_params(), "lstm_nodes": nodes, "opset": OPSET}
