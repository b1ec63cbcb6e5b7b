"""The card of a model: what the file beside it is, and how its windows are made."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.files import read_regular
from twin.core.text import parse_json
from twin.core.validation import problems_of
from twin.demand.kpis import KPIS
from twin.forecast.graph_file import has_external_data
from twin.forecast.horizon import FARTHEST

FORMAT: Final = 2
MEDIAN: Final = 0.5


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Normalisation(_Strict):
    """How a window becomes the input of the graph, and its output a forecast.

    With d the differences from sample to sample of a KPI, s the mean of |d| over the history of
    the link and m the mean of |d| over the window: scale = (1 - local) s + local m. With r the
    last value of the window, to which for `internet` a forecast of the next difference is added:
    input = clip((value - r) / scale). The forecast h steps ahead is r(h) + g(h) scale output(h):
    r(h) is the last value and a linear forecast of the change over h steps, and g(h) says how much
    more these linear forecasts err than those of one step, lately.
    """

    reference: Literal["none", "last", "seasonal"] = "seasonal"
    """What the network improves on: the last value, alone or with a linear forecast of the change
    from past ones and from seasons (see :mod:`twin.forecast.reference`). With "none" the graph
    reads and answers plain values."""
    channels: tuple[Literal["season", "second_season", "level"], ...] = ()
    """What the graph reads beside the features: the usual course of a season around the window
    and ahead of it, and the traffic over its mean."""
    local: Annotated[float, Field(ge=0, le=1)] = 0.5
    clip: Annotated[float, Field(gt=0)] = 20.0
    outlier: Annotated[float, Field(gt=0)] = 6.0
    """Differences are limited to this many s before anything linear sees them."""

    @model_validator(mode="after")
    def _channels_have_a_season(self) -> Normalisation:
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("'channels' names one twice")
        if self.reference != "seasonal" and {*self.channels} - {"level"}:
            raise ValueError("'channels' of a season need the reference 'seasonal'")
        return self


class Scores(_Strict):
    """Mean absolute errors one step ahead on validation windows, in units of each link's s."""

    model: float
    persistence: float
    linear: float
    """Of the linear forecast of the reference, which is the last value where it has none."""
    windows: int


class Card(_Strict):
    """What a model is: written when it is trained, checked when it is loaded."""

    name: str
    recipe: str
    format: Literal[2] = FORMAT
    window: Annotated[int, Field(ge=2)]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    steps: Annotated[tuple[Annotated[int, Field(ge=1, le=FARTHEST)], ...], Field(min_length=1)] = (
        1,
    )
    """Horizons that the graph answers for, in samples from the last known one, rising from 1."""
    normalisation: Normalisation
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Levels that the graph answers for, ascending, the median among them; none: a point.

    An answer has the levels of the first horizon first.
    """
    parameters: int
    """Numbers that the graph keeps: weights, or leaves of trees."""
    multiply_adds: int | None = None
    """Of one forecast, in recurrent and dense layers; None where the graph computes by other means
    (trees), or was not counted when it was trained."""
    lstm_nodes: int
    opset: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: int
    trained_on: str
    seed: int
    epochs: int
    validation: Scores
    versions: dict[str, str]
    """What the model was trained and exported with."""

    @model_validator(mode="after")
    def _features_are_kpis(self) -> Card:
        if self.features[0] != KPIS[0]:
            raise ValueError(f"the first of 'features' must be '{KPIS[0]}'")
        for name in self.features:
            if name not in KPIS:
                hint = did_you_mean(name, KPIS)
                raise ValueError(
                    f"'{name}' in 'features' is no KPI" + (f"; {hint}" if hint else "")
                )
        if len(set(self.features)) != len(self.features):
            raise ValueError("'features' names a KPI twice")
        return self

    @model_validator(mode="after")
    def _steps_ascend_from_one(self) -> Card:
        if self.steps[0] != 1 or any(low >= high for low, high in pairwise(self.steps)):
            raise ValueError("'steps' must rise from 1")
        if len(self.steps) > 1 and self.normalisation.reference == "none":
            raise ValueError("'steps' beyond 1 need a reference")
        return self

    @model_validator(mode="after")
    def _quantiles_ascend_around_the_median(self) -> Card:
        ascending = all(low < high for low, high in pairwise(self.quantiles))
        if self.quantiles and not (ascending and MEDIAN in self.quantiles):
            raise ValueError(f"'quantiles' must ascend and have {MEDIAN} among them")
        return self

    @property
    def depth(self) -> int:
        """Values per sample of a window: features, then channels."""
        return len(self.features) + len(self.normalisation.channels)

    @property
    def answers(self) -> tuple[int, int]:
        """Horizons and values for each that the graph answers with."""
        return len(self.steps), max(len(self.quantiles), 1)


def card_path(model: Path) -> Path:
    """Return where the card of the model file `model` is: NAME.json beside NAME.onnx."""
    return model.with_suffix(".json")


def read_model(model: Path) -> tuple[Card, bytes]:
    """Return the card of `model` and the file's bytes, which are exactly what it describes.

    Raises InputError for a missing file or card, a card that cannot be read, and a model file
    that is not the one that its card describes, or leaves its weights to another file.
    """
    card = _parse(model, card_path(model))
    data = _bytes(model, "the model", "")
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        what = (
            f"is not the file that its card describes: sha256 {digest[:12]}..., "
            f"the card says {card.sha256[:12]}..."
        )
        raise InputError(Problem(what, file=model, suggestion="restore it, or train it again"))
    try:
        if has_external_data(data):
            what = "keeps weights in another file, which its card does not cover"
            raise InputError(Problem(what, file=model, suggestion="save it as one file"))
    except ValueError as error:
        what = f"is no ONNX model: {error}"
        raise InputError(Problem(what, file=model, suggestion="train it again")) from None
    return card, data


def read_card(model: Path) -> Card:
    """Return the card of `model`, checked as :func:`read_model` does."""
    return read_model(model)[0]


def _parse(model: Path, path: Path) -> Card:
    _bytes(model, "the model", "'twin list models' shows what is there")
    remedy = "restore it, or train the model again"
    data = _bytes(path, f"the card of {model.name}", "a model needs its card beside it")
    try:
        return Card.model_validate(parse_json(data, path, remedy))
    except ValidationError as error:
        problems = problems_of(error, known={(): list(Card.model_fields)})
        raise InputError(
            replace(problem, file=path, suggestion=remedy) for problem in problems
        ) from None


def _bytes(path: Path, subject: str, suggestion: str) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError:
        problem = Problem(f"{subject} is missing", file=path, suggestion=suggestion)
    except OSError as error:
        problem = Problem(f"{subject} cannot be read: {error.strerror}", file=path)
    raise InputError(problem) from None
