"""Forecasters under ONNX Runtime: loaded with their card, asked tick by tick, run in bulk."""

from __future__ import annotations

import copy
import os
from collections.abc import Collection
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Bools, Floats, Ints
from twin.core.errors import InputError, Problem, RunError, one_of
from twin.demand.gaps import Feed
from twin.forecast.card import MEDIAN, Card, read_model
from twin.forecast.feeding import FedWindows, Feeding
from twin.forecast.horizon import between, require

CHUNK: Final = 64
"""Windows in a call of ONNX Runtime, where it is fastest on a CPU core."""
_FADES: Final = 8
"""What a network adds fades out up to this many times its last horizon."""


def open_session(path: Path, data: bytes, threads: int | None = None) -> Any:
    """Return an ONNX Runtime session on a model, on `threads` cores (default: all usable ones).

    `data` is what the file at `path`, which messages name, holds. Raises InputError where that is
    no readable ONNX model.
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
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
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


def _answers(session: Any) -> int | str:
    """Return how many values the graph answers with for a window, or what else it answers with."""
    outputs = session.get_outputs()
    if not outputs or not str(outputs[0].type).startswith("tensor("):
        return "no tensor"
    shape = outputs[0].shape
    if len(shape) < 2 or isinstance(shape[0], int) or not isinstance(shape[-1], int):
        return f"a tensor of shape {shape}"
    return int(shape[-1])


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
        card, data = read_model(path)
        # In graphs other than networks (trees, above all) several threads add up in an order that
        # depends on the batch.
        alone = card.multiply_adds is None
        session = open_session(path, data, 1 if alone else threads)
        wanted = [card.window, card.depth]
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not inputs[0].shape:
            what = "takes something other than one tensor of 32-bit floats"
            raise InputError(Problem(what, file=path, suggestion="train it again"))
        windows, *shape = inputs[0].shape
        if shape != wanted:
            what = f"takes windows of shape {shape}, its card says {wanted}"
            raise InputError(Problem(what, file=path, suggestion="train it again"))
        if isinstance(windows, int):
            what = f"takes {windows} windows at a time, not any number"
            raise InputError(Problem(what, file=path, suggestion="leave its first axis open"))
        steps, levels = card.answers
        count, answers = steps * levels, _answers(session)
        if answers != count:
            told = f"{answers} values" if isinstance(answers, int) else answers
            what = f"answers with {told}, its card says {count}"
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
        self, feed: Feed, history: int, start: int, *, stop: int | None = None, steps: int = 1
    ) -> Forecasts:
        """Return the forecasts of samples i >= start of the first feature, in order.

        Scales and seasons are fitted per link on the first `history` samples of `feed`. Nothing is
        evaluated for samples from `stop` on. Forecasts other than `steps` ahead can be asked for;
        then all may begin again. Raises as :meth:`join` does.
        """
        return self.join(Feeding(feed, history, start, stop), steps=steps)

    def join(self, feeding: Feeding, links: Bools | None = None, steps: int = 1) -> Forecasts:
        """Return the forecasts of what is fed, which other models may share.

        The graph is run for the links marked (None: all); the others get the reference. Raises
        InputError for a history shorter than the window, ValueError for samples before the first
        whole window.
        """
        self.require(feeding.feed.kpis)
        window, start, stop = self.card.window, feeding.start, feeding.stop
        if feeding.history < window:
            what = f"needs a history of at least {window} samples, the trace has {feeding.history}"
            raise InputError(Problem(what, file=self.path))
        if not window <= start <= (start if stop is None else stop):
            raise ValueError(f"samples [{start}, {stop}) do not follow a window of {window}")
        windows = feeding.windows(self.card.features, self.card.normalisation)
        windows.require(window, steps, steps)
        return Forecasts(self, windows, links)

    @property
    def point(self) -> int:
        """Which of the values for a horizon is the forecast."""
        return self.card.quantiles.index(MEDIAN) if self.card.quantiles else 0

    def answer(self, answers: Floats, steps: int) -> Floats:
        """Return what the graph answers for a horizon, from [..., steps, values] all its answers.

        Between two of its horizons it is interpolated, beyond them it fades out.
        """
        own = self.card.steps
        left, right, share = between(steps, own)
        if share == 0:
            answer: Floats = answers[..., left, :]
        else:
            answer = (1 - share) * answers[..., left, :] + share * answers[..., right, :]
        # Without a reference to fade to, what is forecast stays.
        if steps <= own[-1] or self.card.normalisation.reference == "none":
            return answer
        point = answer[..., self.point, None]
        return answer - (1 - max(1 - log(steps / own[-1]) / log(_FADES), 0.0)) * point


class Forecasts:
    """The forecasts of consecutive samples of a feed, at any horizon, made as its samples close."""

    def __init__(self, forecaster: Forecaster, windows: FedWindows, links: Bools | None) -> None:
        self._forecaster, self._windows = forecaster, windows
        self._links = np.ones(windows.links, dtype=np.bool_) if links is None else links
        self._stretch = 0
        self._latest_path, self._again = -2, False
        self._rows: dict[int, Floats] = {}
        self._evaluated_upto = np.zeros(windows.links, dtype=np.int64)
        self.evaluated = 0
        """Windows that the graph has run, each counted once."""

    def for_links(self, feeding: Feeding, links: Ints) -> Forecasts:
        """Return those of some links that go on from here, as `feeding` has them."""
        some, card = copy.copy(self), self._forecaster.card
        some._windows = feeding.windows(card.features, card.normalisation)
        some._links, some._evaluated_upto = self._links[links], self._evaluated_upto[links]
        # The stretch is run again.
        some._stretch, some._rows = 0, {}
        return some

    def fit(self) -> None:
        """Go through the history now, rather than when a forecast is first asked for."""
        self._windows.fit()

    def run_on(self, links: Bools) -> None:
        """Run the graph on these links as well."""
        if (links & ~self._links).any():
            self._links, self._stretch = self._links | links, 0

    def at(self, sample: int, ahead: int = 0) -> Floats:
        """Return the forecast of sample + ahead, made from what is known before `sample`, [links].

        At least 0; NaN for a link about which nothing was known yet. For a model of quantiles, the
        median. Raises IndexError for a sample that is before the one asked for last, or that
        the feed does not reach, InputError for more than a week ahead. A model that works on plain
        values forecasts the coming interval, and that stays.
        """
        row = self._row(self._seek(sample, ahead + 1, ahead + 1), ahead + 1)
        return row[:, self._forecaster.point].copy()

    def quantiles_at(self, sample: int, ahead: int = 0) -> Floats:
        """Return the quantiles of the card for sample + ahead, [links, quantiles], read-only.

        Each at least 0 and at least the one before it; NaN for a link about which nothing was
        known yet. A model without quantiles has one column, its forecast. Raises as at() does.
        """
        forecast = self._row(self._seek(sample, ahead + 1, ahead + 1), ahead + 1).copy()
        forecast.setflags(write=False)
        return forecast

    def path(self, sample: int, first: int, count: int) -> Floats:
        """Return the forecasts of sample + first and those after it, [count, links].

        Raises as at() does.
        """
        if count == 1:
            return self.at(sample, first)[None]
        place = self._seek(sample, first + 1, first + count)
        # Whoever asks at each sample will do so at the next one.
        if sample != self._latest_path:
            self._again, self._latest_path = sample == self._latest_path + 1, sample
        rows = [
            self._row(place, steps)
            if self._again or steps in self._rows
            else self._made(place, place + 1, steps)[0]
            for steps in range(first + 1, first + count + 1)
        ]
        return np.stack([row[:, self._forecaster.point] for row in rows])

    def _row(self, place: int, steps: int) -> Floats:
        """Return the forecasts of a place in the stretch, made for the rest of it as well."""
        if steps not in self._rows:
            length = self._windows.last - self._windows.first
            self._rows[steps] = np.empty((length, *self._shape))
            self._rows[steps][place:] = self._made(place, length, steps)
        row: Floats = self._rows[steps][place]
        return row

    @property
    def _shape(self) -> tuple[int, int]:
        return self._windows.links, self._forecaster.card.answers[1]

    def _seek(self, sample: int, first: int, last: int) -> int:
        """Return the place of `sample` in a stretch that was run; it may be a new one.

        Forecasts `first` to `last` steps ahead can then be made.
        """
        card = self._forecaster.card
        require(first - 1)
        require(last - 1)
        self._windows.require(card.window, first, last)
        place = self._windows.seek(sample)
        if self._windows.number != self._stretch:
            self._stretch, self._rows = self._windows.number, {}
            self._run()
        return place

    def _run(self) -> None:
        """Run the graph on the windows of the stretch."""
        fed, card = self._windows, self._forecaster.card
        # Where the graph is not run it adds nothing, whatever the scale.
        self._scale = np.zeros((fed.last - fed.first, fed.links))
        self._answers = np.zeros((*self._scale.shape, *card.answers))
        runs, links = fed.running(), np.flatnonzero(self._links)
        if not len(links) or not runs.any():
            return
        batch = fed.windows.batch(
            fed.first, fed.last, 1, card.window, card.normalisation,
            None if len(links) == fed.links else links,
        )  # fmt: skip
        self._scale[:, links] = batch.scale
        inputs = batch.inputs if runs.all() else batch.inputs[runs]
        flat = inputs.reshape(-1, *inputs.shape[2:])
        try:
            answers = evaluate(self._forecaster.session, flat)
            answers = answers.reshape(*inputs.shape[:2], *card.answers)
        except Exception as error:  # those of ONNX Runtime have no common base
            reason = str(error).strip().splitlines()[0]
            raise RunError(f"{self._forecaster.path}: the model failed: {reason}") from None
        self._answers[np.ix_(runs, links)] = answers
        # A stretch that is run again, for a longer horizon, is not counted twice.
        upto = self._evaluated_upto[self._links]
        before = np.concatenate([[0], np.cumsum(runs)])
        counted = before[np.clip(upto, fed.first, fed.last) - fed.first]
        self.evaluated += int((before[-1] - counted).sum())
        self._evaluated_upto[self._links] = np.maximum(upto, fed.last)

    def _made(self, start: int, stop: int, steps: int) -> Floats:
        """Return forecasts of places start <= i < stop in the stretch, [samples, links, values]."""
        fed = self._windows
        first, last = fed.first + start, fed.first + stop
        unit = self._scale[start:stop] * fed.windows.growth(first, last, steps)
        added = unit[..., None] * self._forecaster.answer(self._answers[start:stop], steps)
        forecasts = fed.windows.reference(first, last, steps)[..., None] + added
        np.maximum(forecasts, 0, out=forecasts)
        forecasts[np.arange(first, last)[:, None] <= fed.windows.known_from] = np.nan
        return forecasts
