"""The card of a model: what the file beside it is, and how its windows are made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twin.demand.trace import KPIS
from twin.errors import InputError, Problem, did_you_mean

FORMAT: Final = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Normalisation(_Strict):
    """How a window becomes the input of the graph, and its output a forecast.

    With d the differences from sample to sample of a KPI, s the mean of |d| over the history of
    the link and m the mean of |d| over the window: scale = (1 - local) s + local m. With r the
    last value of the window, to which for `internet` a linear forecast of the next difference
    is added (Yule-Walker on the history, see :mod:`twin.forecast.windows`):
    input = clip((value - r) / scale), forecast = r + scale x output.
    """

    reference: Literal["last", "linear"] = "linear"
    local: Annotated[float, Field(ge=0, le=1)] = 0.5
    clip: Annotated[float, Field(gt=0)] = 20.0
    outlier: Annotated[float, Field(gt=0)] = 6.0
    """Differences are limited to this many s before anything linear sees them."""
    ridge: Annotated[float, Field(gt=0)] = 0.01
    """Added to the diagonal of the autocovariance of d / s."""


class Scores(_Strict):
    """Mean absolute errors on the same validation windows, in units of each link's s."""

    model: float
    persistence: float
    linear: float
    windows: int


class Versions(_Strict):
    """What the model was trained and exported with."""

    keras: str
    tensorflow: str
    tf2onnx: str
    onnx: str
    python: str


class Card(_Strict):
    """What a model is: written when it is trained, checked when it is loaded."""

    name: str
    recipe: str
    format: Literal[1] = FORMAT
    window: Annotated[int, Field(ge=2)]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    horizon: Literal[1] = 1
    normalisation: Normalisation
    parameters: int
    lstm_nodes: int
    opset: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: int
    trained_on: str
    seed: int
    epochs: int
    validation: Scores
    versions: Versions

    @model_validator(mode="after")
    def _features_are_kpis(self) -> Card:
        if self.features[0] != KPIS[0]:
            raise ValueError(f"the first of 'features' must be '{KPIS[0]}'")
        for name in self.features:
            if name not in KPIS:
                raise ValueError(f"'{name}' in 'features' is no KPI; {did_you_mean(name, KPIS)}")
        if len(set(self.features)) != len(self.features):
            raise ValueError("'features' names a KPI twice")
        return self


def card_path(model: Path) -> Path:
    """Return where the card of the model file `model` is: NAME.json beside NAME.onnx."""
    return model.with_suffix(".json")


def read_card(model: Path) -> Card:
    """Return the card of `model`, having checked that it describes exactly that file.

    Raises InputError for a missing file or card, a card that cannot be read, and a model file
    that is not the one that its card describes.
    """
    card = _parse(model, card_path(model))
    found = hashlib.sha256(_bytes(model, "the model", "")).hexdigest()
    if found != card.sha256:
        what = (
            f"is not the file that its card describes: sha256 {found[:12]}..., "
            f"the card says {card.sha256[:12]}..."
        )
        raise InputError(Problem(what, file=model, suggestion="restore it, or train it again"))
    return card


def _parse(model: Path, path: Path) -> Card:
    _bytes(model, "the model", "'twin list models' shows what is there")
    text = _bytes(path, f"the card of {model.name}", "a model needs its card beside it")
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"the card of {model.name} cannot be used: {first['msg']}"
        raise InputError(
            Problem(what, where=where, file=path, suggestion="restore it, or train the model again")
        ) from None


def _bytes(path: Path, what: str, suggestion: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        problem = Problem(f"{what} is missing", file=path, suggestion=suggestion)
    except OSError as error:
        problem = Problem(f"{what} cannot be read: {error.strerror}", file=path)
    raise InputError(problem) from None
