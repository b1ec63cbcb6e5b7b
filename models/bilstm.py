"""The recipe of the bidirectional LSTM: 705,665 parameters with all four KPIs.

Architecture of Sengendo and Granelli, "AI-Enabled Digital Twins for Next-Generation Networks";
the training (normalised residuals, mean absolute error, decaying rate) is this project's.
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

from twin.errors import RunError
from twin.forecast.card import Normalisation

WINDOW = 10
EPOCHS = 12
NORMALISATION = Normalisation()
OPSET = 18

VERSIONS = {
    "keras": keras.__version__,
    "tensorflow": tf.__version__,
    "tf2onnx": tf2onnx.__version__,
    "onnx": onnx.__version__,
    "python": platform.python_version(),
}


def network(features: int, unroll: bool) -> Any:
    """Return the untrained network, [batch, 10, features] to [batch, 1]."""
    inputs = keras.Input((WINDOW, features))
    hidden = inputs
    for units, sequences in ((128, True), (128, True), (64, False)):
        lstm = keras.layers.LSTM(units, return_sequences=sequences, unroll=unroll)
        hidden = keras.layers.Bidirectional(lstm)(hidden)
        hidden = keras.layers.BatchNormalization()(hidden)
        hidden = keras.layers.Dropout(0.2)(hidden)
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    # It starts as the forecast that an output of 0 stands for, and learns what to add.
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(hidden))


def fit(
    training: Any, validation: Any, seed: int, epochs: int, report: Callable[[str], None]
) -> tuple[Any, int]:
    """Return the trained network and the epochs run.

    `training` and `validation` have `inputs`, `targets` and `weights` (twin.forecast.train).
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    model = network(training.inputs.shape[-1], unroll=True)
    steps = -(-len(training.inputs) // 128)
    rate = keras.optimizers.schedules.CosineDecay(6e-4, steps * epochs, alpha=0.02)
    # XLA compiles longer than it saves, and these graphs are what runs fastest on a CPU.
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "mae", jit_compile=False)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True)
    log = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: report(
            f"epoch {epoch + 1} of {epochs}: loss {logs['loss']:.4f}, "
            f"validation {logs['val_loss']:.4f}"
        )
    )
    history = model.fit(
        training.inputs,
        training.targets,
        sample_weight=training.weights,
        validation_data=(validation.inputs, validation.targets, validation.weights),
        batch_size=128,
        epochs=epochs,
        callbacks=[stop, log, keras.callbacks.TerminateOnNaN()],
        verbose=0,
    )
    return model, len(history.history["loss"])


def predict(model: Any, inputs: Any) -> Any:
    """Return what the network answers, [windows]."""
    return np.asarray(model.predict(inputs, batch_size=1024, verbose=0)).reshape(-1)


def export(model: Any, path: Path) -> dict[str, int]:
    """Write the network as ONNX to `path`; return what the card says about the graph.

    Raises RunError where the graph does not have its three fused LSTM nodes.
    """
    # Only a network that is not unrolled is exported as fused nodes, 2-3 times faster.
    folded = network(model.input_shape[-1], unroll=False)
    folded.set_weights(model.get_weights())
    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="window")
    graph = tf.function(
        lambda window: folded(window, training=False), input_signature=[spec], autograph=False
    )
    proto, _ = tf2onnx.convert.from_function(graph, input_signature=[spec], opset=OPSET)
    kinds = [node.op_type for node in proto.graph.node]
    if kinds.count("LSTM") != 3 or {"Loop", "Scan"} & set(kinds):
        raise RunError(f"the exported graph has {kinds.count('LSTM')} LSTM nodes, not 3")
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    return {"parameters": model.count_params(), "lstm_nodes": 3, "opset": OPSET}
