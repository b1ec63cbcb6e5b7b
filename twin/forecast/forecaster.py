"""Forecasters under ONNX Runtime: loaded with their card, asked tick by tick, run in bulk."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Bools, Floats
from twin.core.errors import InputError, Problem, one_of
from twin.demand.gaps import Feed, known
from twin.forecast.card import MEDIAN, Card, read_card
from twin.forecast.windows import WindowBatch, Windows

CHUNK: Final = 64
"""Windows in a call of ONNX Runtime, where it is fastest on a CPU core."""
_WINDOWS_AT_ONCE: Final = 4_096
"""Windows made at a time, which bounds the memory."""
_APPENDED: Final = 288
"""Samples taken at a time, which bounds the memory."""
_HISTORY_VALUES: Final = 400_000
"""Values of a KPI taken at a time from the history, where nothing is forecast."""
_TRIED: Final = 288
"""Samples of the history at which a network is tried on a link before it is trusted."""
_TRIED_AT_ONCE: Final = 32
_WORTH: Final = 0.98
"""A network is trusted below this share of the reference's error: less gain may be chance."""
_LOOKED_BACK: Final = 2_304
"""The trial begins at most this many samples before the end of the history."""
_LEARNT: Final = 4
"""The trial passes over the first of this many parts of a history: there the reference still
learns, and a network that beats it may not do so later."""


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
    threads: int | None = None

    @classmethod
    def load(cls, path: Path, threads: int | None = None) -> Forecaster:
        """Load NAME.onnx with the card NAME.json beside it, to run on `threads` cores.

        Raises InputError where either file is missing or damaged, or the two do not belong
        together.
        """
        card = read_card(path)
        # In graphs other than networks (trees, above all) several threads add up in an order that
        # depends on the batch.
        alone = card.multiply_adds is None
        session = open_session(path, 1 if alone else threads)
        wanted = [card.window, card.depth]
        for node in session.get_inputs():
            if len(session.get_inputs()) != 1 or list(node.shape[1:]) != wanted:
                what = f"takes windows of shape {node.shape[1:]}, its card says {wanted}"
                raise InputError(Problem(what, file=path, suggestion="train it again"))
        count, answers = max(len(card.quantiles), 1), session.get_outputs()[0].shape[-1]
        if answers != count:
            what = f"answers with {answers} values, its card says {count}"
            raise InputError(Problem(what, file=path, suggestion="train it again"))
        return cls(path, card, session, threads)

    def require(self, kpis: Collection[str]) -> None:
        """Raise InputError if a trace with `kpis` lacks a feature of the model."""
        lacking = [name for name in self.card.features if name not in kpis]
        if lacking:
            named = f"the KPI{'s' * (len(lacking) > 1)} {one_of(lacking, 'and')}"
            what = f"needs {named}, which the trace does not have"
            raise InputError(
                Problem(what, file=self.path, suggestion="use a model of 'internet' alone")
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot travel; its file is opened again.
        return Forecaster.load, (self.path.resolve(), self.threads)

    def __deepcopy__(self, memo: dict[int, Any]) -> Forecaster:
        # Nothing here ever changes.
        return self

    def bind(
        self, feed: Feed, history: int, start: int, *, stop: int | None = None, trial: bool = True
    ) -> Forecasts:
        """Return the forecasts of samples i >= start of the first feature, in order.

        Scales and seasons are fitted per link on the first `history` samples of `feed`. Nothing is
        evaluated for samples from `stop` on. Without a `trial` the network is used on every link,
        whether it is better there or not. Raises InputError for a history shorter than the
        window, ValueError for samples before the first whole window.
        """
        self.require(feed.kpis)
        window = self.card.window
        if history < window:
            what = f"needs a history of at least {window} samples, the trace has {history}"
            raise InputError(Problem(what, file=self.path))
        if not window <= start <= (start if stop is None else stop):
            raise ValueError(f"samples [{start}, {stop}) do not follow a window of {window}")
        return Forecasts(self, feed, history, start, stop, trial=trial)


class Forecasts:
    """The forecasts of consecutive samples of a feed, made as its samples close.

    Where the feed holds samples that have not closed yet, those of a whole stretch are made and run
    together, up to the next revision of what a gap hid: what a forecast is made from does not
    depend on decisions, and each still sees nothing but its own past. A link that the network is
    not trusted with gets the reference, and the quantiles around that.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        feed: Feed,
        history: int,
        start: int,
        stop: int | None,
        *,
        trial: bool,
    ) -> None:
        self._forecaster, self._feed = forecaster, feed
        self._fitted, self._start, self._stop = history, start, stop
        card = forecaster.card
        # Which of the values that the graph answers with is the forecast.
        self._point = card.quantiles.index(MEDIAN) if card.quantiles else 0
        tried = min(history, start)
        first = max(card.window, tried - _LOOKED_BACK, tried // _LEARNT)
        past = [known(feed, name, history) for name in card.features]
        self._windows = Windows(past, card.window, card.normalisation, first)
        links = past[0].shape[1]
        self.trusted = np.ones(links)
        """1 for each link on which the network is used, else 0, [links]."""
        if trial and card.normalisation.reference != "none":
            self.trusted = self._tried(past, first, tried)
        self._extend(past, history if start >= history else start - 1)
        self._samples = min(max(1, _WINDOWS_AT_ONCE // max(1, links)), _APPENDED)
        self._first, self._stretch = start, np.empty((0, links, self._values))

    @property
    def _values(self) -> int:
        """Values that the graph answers with."""
        return max(len(self._forecaster.card.quantiles), 1)

    def at(self, sample: int) -> Floats:
        """Return the forecast of `sample`, made from what was known before it, [links].

        At least 0; NaN for a link about which nothing was known yet. For a model of quantiles, the
        median. Raises IndexError for a sample that is before the one asked for last, or that
        the feed does not reach.
        """
        return self._row(sample)[:, self._point].copy()

    def quantiles_at(self, sample: int) -> Floats:
        """Return the quantiles of the card for `sample`, [links, quantiles], read-only.

        Each at least 0 and at least the one before it; NaN for a link about which nothing was
        known yet. A model without quantiles has one column, its forecast. Raises IndexError as at()
        does.
        """
        forecast = self._row(sample).copy()
        forecast.setflags(write=False)
        return forecast

    def _row(self, sample: int) -> Floats:
        """Return the row of `sample`; makes a stretch of forecasts where it is not there."""
        place = sample - self._first
        if not 0 <= place < len(self._stretch):
            self._make(sample)
            place = 0
        row: Floats = self._stretch[place]
        return row

    def _make(self, sample: int) -> None:
        """Make a stretch of forecasts that begins with that of `sample`."""
        end = self._feed.ready + 1 if self._stop is None else self._stop
        if not max(self._windows.closed, self._start) <= sample < end:
            raise IndexError(f"sample {sample} is not in [{self._windows.closed}, {end})")
        self._reach(sample)
        last = min(sample + self._samples, end, self._feed.ready + 1)
        revised = self._feed.next_revision(sample)
        if revised is not None:
            last = min(last, revised)
        self._append(sample, last - 1)
        self._first, self._stretch = sample, self._evaluated(sample, last)

    def _reach(self, sample: int) -> None:
        """Take all that is known once `sample` samples have closed."""
        closed = self._windows.closed
        for revision in self._feed.revisions(max(closed, self._fitted), sample):
            self._append(self._windows.closed, revision.closed)
            features = self._forecaster.card.features
            if revision.kpi in features:
                place = features.index(revision.kpi)
                self._windows.revise(place, revision.first, revision.series, revision.values)
        self._append(self._windows.closed, sample)

    def _append(self, start: int, stop: int) -> None:
        for first in range(start, stop, _APPENDED):
            last = min(first + _APPENDED, stop)
            names = self._forecaster.card.features
            self._windows.extend([self._feed.rows(name, first, last) for name in names])

    def _extend(self, past: Sequence[Floats], stop: int) -> None:
        """Take the history up to `stop`, as it was known at its end."""
        step = max(_HISTORY_VALUES // past[0].shape[1], _APPENDED)
        for first in range(self._windows.closed, stop, step):
            last = min(first + step, stop)
            self._windows.extend([values[first:last] for values in past])

    def _answers(self, batch: WindowBatch, links: Bools) -> Floats:
        """Return what the graph answers for windows, [samples, links, values].

        Only those of the links marked are run; for the others the answer is 0.
        """
        answers = np.zeros((*batch.reference.shape, self._values))
        if links.any():
            inputs = batch.inputs if links.all() else batch.inputs[:, links]
            flat = inputs.reshape(-1, *inputs.shape[2:])
            answers[:, links] = evaluate(self._forecaster.session, flat).reshape(
                len(inputs), -1, self._values
            )
        return answers

    def _tried(self, past: Sequence[Floats], first: int, stop: int) -> Floats:
        """Return 1 for each link that the graph has forecast better than its reference, else 0.

        Tried on samples spread evenly over [first, stop) of the history, so that a link unlike all
        that the network was trained on is forecast by what is fitted to the link alone.
        """
        links = past[0].shape[1]
        errors, every = np.zeros((2, links)), np.ones(links, dtype=np.bool_)
        step = max(-(-(stop - first) // _TRIED), 1)
        self._extend(past, first - 1)
        # As many at once for any number of links, so that the sums are the same to the last bit.
        for start in range(first, stop, step * _TRIED_AT_ONCE):
            last = min(start + step * _TRIED_AT_ONCE, stop)
            self._windows.extend([values[self._windows.closed : last] for values in past])
            batch = self._windows.batch(start, last, step)
            answers = self._answers(batch, every)[..., self._point]
            apart = self._windows.values(start, last)[::step] - batch.reference
            errors[0] += np.abs(apart).sum(axis=0)
            errors[1] += np.abs(apart - batch.scale * answers).sum(axis=0)
        return np.asarray(errors[1] < _WORTH * errors[0], dtype=np.float64)

    def _evaluated(self, first: int, last: int) -> Floats:
        """Return the forecasts of [first, last), [samples, links, quantiles]."""
        batch = self._windows.batch(first, last)
        # Quantiles are needed around the reference too; a point that is not used is not made.
        needed = (self.trusted > 0) | bool(self._forecaster.card.quantiles)
        answers = self._answers(batch, needed)
        point = answers[..., self._point, None]
        answers -= (1 - self.trusted[:, None]) * point
        forecasts = batch.reference[..., None] + batch.scale[..., None] * answers
        np.maximum(forecasts, 0, out=forecasts)
        forecasts[np.arange(first, last)[:, None] <= self._windows.known_from] = np.nan
        return forecasts
