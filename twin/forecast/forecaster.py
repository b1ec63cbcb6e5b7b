"""Forecasters under ONNX Runtime: loaded with their card, asked tick by tick, run in blocks."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.core.errors import InputError, Problem, one_of
from twin.forecast.card import MEDIAN, Card, read_card
from twin.forecast.windows import Block, Windows

CHUNK: Final = 64
"""Windows in a call of ONNX Runtime, where it is fastest on a CPU core."""
_BLOCK: Final = 4_096
"""Windows made at a time, which bounds the memory."""
_TRIED: Final = 288
"""Samples of the history at which a network is tried on a link before it is trusted."""
_TRIED_AT_ONCE: Final = 32
_WORTH: Final = 0.98
"""Times its reference's error that a network's may be, to be trusted: less may be chance."""
_LOOKED_BACK: Final = 2_304
"""How far before the end of the history these begin, if it is as long as that."""
_LEARNT: Final = 4
"""The first of so many parts of a history are passed over: there the reference still learns, and
a network that beats it may not do so later."""


def open_session(path: Path, threads: int | None = None) -> Any:
    """Return an ONNX Runtime session on `path`, on `threads` cores (default: all usable ones).

    Raises InputError for a file that is no readable ONNX model.
    """
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        what = f"is no model that ONNX Runtime can read: {str(error).strip().splitlines()[0]}"
        raise InputError(Problem(what, file=path, suggestion="train it again")) from None


def usable_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def evaluate(session: Any, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the answers of the graph for `inputs` [windows, window, features and channels].

    Shaped [windows] where it answers with one value, else [windows, values].
    """
    name = session.get_inputs()[0].name
    answers = [
        session.run(None, {name: inputs[first : first + CHUNK]})[0]
        for first in range(0, len(inputs), CHUNK)
    ]
    joined = np.concatenate(answers, dtype=np.float64) if answers else np.empty((0, 1))
    return joined.reshape(-1) if joined.shape[-1] == 1 else joined


@dataclass(frozen=True, slots=True)
class Forecaster:
    """A trained model, checked against its card."""

    path: Path
    card: Card
    session: Any

    @classmethod
    def load(cls, path: Path, threads: int | None = None) -> Forecaster:
        """Load NAME.onnx with the card NAME.json beside it, to run on `threads` cores.

        Raises InputError where either file is missing or damaged, or the two do not belong
        together.
        """
        card = read_card(path)
        session = open_session(path, threads)
        wanted = [card.window, card.depth]
        for node in session.get_inputs():
            if len(session.get_inputs()) != 1 or list(node.shape[1:]) != wanted:
                what = f"takes windows of shape {node.shape[1:]}, its card says {wanted}"
                raise InputError(Problem(what, file=path, suggestion="train it again"))
        count, answers = max(len(card.quantiles), 1), session.get_outputs()[0].shape[-1]
        if answers != count:
            what = f"answers with {answers} values, its card says {count}"
            raise InputError(Problem(what, file=path, suggestion="train it again"))
        return cls(path, card, session)

    def require(self, kpis: Collection[str]) -> None:
        """Raise InputError if a trace with `kpis` lacks a feature of the model."""
        lacking = [name for name in self.card.features if name not in kpis]
        if lacking:
            named = f"the KPI{'s' * (len(lacking) > 1)} {one_of(lacking, 'and')}"
            what = f"needs {named}, which the trace does not have"
            raise InputError(
                Problem(what, file=self.path, suggestion="use a model of 'internet' alone")
            )

    def bind(
        self,
        observed: Mapping[str, NDArray[Any]],
        history: int,
        start: int,
        stop: int,
        *,
        trial: bool = True,
    ) -> Forecasts:
        """Return the forecasts of samples start <= i < stop, made when they are asked for.

        `observed` holds the KPIs, float64 [samples, links], NaN where missing; scales are fitted
        per link on the first `history` samples. Without a `trial` there the network speaks on
        every link, whether it is worth it or not. Raises InputError for a history shorter than
        the window, ValueError for samples before the first whole window.
        """
        self.require(observed)
        card = self.card
        window = card.window
        if history < window:
            what = f"needs a history of at least {window} samples, the trace has {history}"
            raise InputError(Problem(what, file=self.path))
        if not window <= start <= stop:
            raise ValueError(f"samples [{start}, {stop}) do not follow a window of {window}")
        tried = min(history, start)
        first = max(window, tried - _LOOKED_BACK, tried // _LEARNT)
        windows = Windows.fit(observed, card.features, window, card.normalisation, history, first)
        outputs = _Outputs(self.session, card.quantiles)
        trusted = np.ones(windows.change.shape[1])
        if trial and card.normalisation.reference != "none":
            trusted = outputs.tried(windows, first, tried)
        return Forecasts(outputs, windows, trusted, start, stop)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What a graph answers for windows: one value, or one for each of `quantiles`."""

    session: Any
    quantiles: tuple[float, ...]

    @property
    def point(self) -> int:
        """Which value is the forecast."""
        return self.quantiles.index(MEDIAN) if self.quantiles else 0

    def of(self, block: Block, links: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the answers for the windows of `block`, [samples, links, values].

        Only those of the links marked are run; for the others the answer is 0.
        """
        answers = np.zeros((*block.reference.shape, max(len(self.quantiles), 1)))
        if links.any():
            inputs = block.inputs if links.all() else block.inputs[:, links]
            flat = inputs.reshape(-1, *inputs.shape[2:])
            answers[:, links] = evaluate(self.session, flat).reshape(
                len(inputs), -1, answers.shape[-1]
            )
        return answers

    def tried(self, windows: Windows, first: int, stop: int) -> NDArray[np.float64]:
        """Return 1 for each link that the graph has forecast better than its reference, else 0.

        Tried on samples spread evenly over [first, stop), so that a link unlike all that the
        network was trained on is forecast by what is fitted to the link alone.
        """
        links = windows.change.shape[1]
        errors, every = np.zeros((2, links)), np.ones(links, dtype=np.bool_)
        step = max(-(-(stop - first) // _TRIED), 1)
        # As many at once for any number of links, so that the sums are the same to the last bit.
        for start in range(first, stop, step * _TRIED_AT_ONCE):
            last = min(start + step * _TRIED_AT_ONCE, stop)
            block = windows.block(start, last, step)
            answers = self.of(block, every)[..., self.point]
            apart = windows.values[0][start:last:step] - block.reference
            errors[0] += np.abs(apart).sum(axis=0)
            errors[1] += np.abs(apart - block.scale * answers).sum(axis=0)
        return np.asarray(errors[1] < _WORTH * errors[0], dtype=np.float64)


class Forecasts:
    """The forecasts of `internet` for consecutive samples, evaluated a block ahead.

    What a forecast is made from does not depend on decisions, so the windows of a whole block
    of samples are made and run together; each still sees nothing but its own past. A link that
    the network is not trusted with gets the reference, and the quantiles around that.
    """

    def __init__(
        self,
        outputs: _Outputs,
        windows: Windows,
        trusted: NDArray[np.float64],
        start: int,
        stop: int,
    ) -> None:
        self._outputs, self._windows, self._trusted = outputs, windows, trusted
        self._start, self._stop = start, stop
        self._samples = max(1, _BLOCK // max(1, windows.scale.shape[1]))
        self._first, self._block = start, np.empty((0, 0, 0))

    def at(self, sample: int) -> NDArray[np.float64]:
        """Return the forecast of interval `sample`, made from what precedes it, [links].

        At least 0; NaN for a link of which nothing was known yet. The median, of a model of
        quantiles. Raises IndexError outside of the samples that the forecasts were bound for.
        """
        return self.quantiles_at(sample)[:, self._outputs.point]

    def quantiles_at(self, sample: int) -> NDArray[np.float64]:
        """Return the quantiles of the card for interval `sample`, [links, quantiles].

        Each at least 0 and at least the one before it; NaN for a link of which nothing was known
        yet. A model without quantiles has one column, its forecast. Raises IndexError as at()
        does.
        """
        if not self._start <= sample < self._stop:
            raise IndexError(f"sample {sample} is not in [{self._start}, {self._stop})")
        if not self._first <= sample < self._first + len(self._block):
            self._first = sample - (sample - self._start) % self._samples
            last = min(self._first + self._samples, self._stop)
            self._block = self._evaluated(self._first, last)
        forecast: NDArray[np.float64] = self._block[sample - self._first]
        return forecast

    def _evaluated(self, first: int, last: int) -> NDArray[np.float64]:
        """Return the forecasts of [first, last), [samples, links, quantiles], read-only."""
        block = self._windows.block(first, last)
        # Quantiles are wanted around the reference too; a point that is not used is not made.
        needed = (self._trusted > 0) | bool(self._outputs.quantiles)
        answers = self._outputs.of(block, needed)
        point = answers[..., self._outputs.point, None]
        answers -= (1 - self._trusted[:, None]) * point
        forecasts = block.reference[..., None] + block.scale[..., None] * answers
        np.maximum(forecasts, 0, out=forecasts)
        forecasts[np.arange(first, last)[:, None] <= self._windows.known_from] = np.nan
        forecasts.setflags(write=False)
        return forecasts
