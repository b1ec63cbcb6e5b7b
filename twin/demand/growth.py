"""How demand grows: by a share that is compounded, or by the same amount year after year."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from twin.core.arrays import Floats
from twin.core.errors import Problem, did_you_mean, show
from twin.core.units import BIT_RATES, DAY_S, MONTH_S, YEAR_S

DEFAULTS = "defaults"
"""Stands for all links or flows that a map of rates does not name."""

_RATE = re.compile(
    r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*(%|[A-Za-z]+/s)\s*(?:/|per|a)\s*([A-Za-z]+)\s*"
)
_LARGEST: Final = 300.0
"""Exponent at which growth ends: e^300 times as much is beyond all that can be meant."""
_TIMES = {
    "y": YEAR_S, "year": YEAR_S, "mo": MONTH_S, "month": MONTH_S, "w": 7 * DAY_S, "week": 7 * DAY_S,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Growth:
    """A rate of growth; a year has 365.25 days."""

    text: str
    """As it was written."""
    yearly_factor: float = 1.0
    """What demand is multiplied by in a year, compounded."""
    mbps_per_year: float = 0.0
    """What the busy value gains in a year, in place of the factor."""

    @classmethod
    def of(cls, text: object) -> Growth:
        """Return the rate in ``30%/year``, ``-2%/month`` or ``200 Mbit/s/year``.

        Raises ValueError for anything else, and for a loss of all demand or more.
        """
        match = _RATE.fullmatch(text) if isinstance(text, str) else None
        if match is None or match[3] not in _TIMES or match[2] not in ("%", *BIT_RATES):
            what = f"growth is written like '30%/year' or '200 Mbit/s/year', not {show(text)}"
            raise ValueError(what)
        number, unit, times = float(match[1]), match[2], YEAR_S / _TIMES[match[3]]
        written = str(text).strip()
        if unit != "%":
            return cls(written, mbps_per_year=number * BIT_RATES[unit] * times)
        if number <= -100:
            raise ValueError(f"{show(text)} leaves nothing; write more than -100%")
        factor = float(np.float64(1 + number / 100) ** times)
        if not factor < 1e6:
            raise ValueError(f"{show(text)} is more than a millionfold a year")
        return cls(written, yearly_factor=factor)

    @property
    def linear(self) -> bool:
        """Whether it adds the same amount year after year."""
        return self.mbps_per_year != 0

    def grown(self, elapsed_s: Floats, busy_mbps: float) -> Floats:
        """Return a busy value after times, of the shape of `elapsed_s`, Mbit/s; never below 0."""
        years = elapsed_s / YEAR_S
        if self.linear:
            return np.maximum(busy_mbps + self.mbps_per_year * years, 0.0)
        exponents = years * np.log(self.yearly_factor)
        return np.asarray(busy_mbps * np.exp(np.minimum(exponents, _LARGEST)))

    def factor(self, elapsed_s: Floats, busy_mbps: float) -> Floats:
        """Return what demand is multiplied by after times, of the shape of `elapsed_s`.

        `busy_mbps` is the busy value at the beginning, to which an amount is added: the shape of a
        day stays as it is. What is never busy has nothing that an amount could be added to.
        """
        if self.linear and busy_mbps <= 0:
            return np.ones_like(elapsed_s)
        level = busy_mbps if self.linear else 1.0
        return self.grown(elapsed_s, level) / level


Growths = Mapping[str, Growth]
"""Rates by the names or patterns of links or flows, and ``defaults``."""


def growths(value: Any) -> Any:
    """Return what a scenario or an option says of growth. Raises ValueError for a bad rate."""
    if isinstance(value, dict):
        return {name: _rate(each, str(name)) for name, each in value.items()}
    return value if isinstance(value, Mapping) else {DEFAULTS: Growth.of(value)}


def _rate(value: Any, name: str) -> Growth:
    if isinstance(value, Growth):
        return value
    try:
        return Growth.of(value)
    except ValueError as error:
        raise ValueError(f"of '{name}': {error}") from None


def growth_of(stated: Growths, names: Sequence[str]) -> list[Growth | None]:
    """Return the rate of each name: its own, else of the first pattern, else of ``defaults``."""
    patterns = [each for each in stated if each != DEFAULTS]
    rates = []
    for name in names:
        match = next((each for each in patterns if fnmatch.fnmatchcase(name, each)), DEFAULTS)
        rates.append(stated.get(name, stated.get(match)))
    return rates


def growth_problems(stated: Growths, names: Sequence[str]) -> Iterator[Problem]:
    """Yield which names of a map of rates stand for no link or flow."""
    for each in stated:
        if each != DEFAULTS and each not in names and not fnmatch.filter(names, each):
            hint = did_you_mean(each, names) or f"there are: {', '.join(names[:8])}"
            yield Problem(f"there is no '{each}'", ("demand", "growth", each), suggestion=hint)


def growths_text(stated: Growths) -> Any:
    """Return rates as they are written: one text where all have the same."""
    texts = {name: rate.text for name, rate in stated.items()}
    return texts[DEFAULTS] if list(texts) == [DEFAULTS] else texts


_TEXT_SCHEMA = {"type": "string", "examples": ["30%/year", "200 Mbit/s/year"]}

GrowthField = Annotated[
    dict[str, Growth],
    BeforeValidator(growths),
    PlainSerializer(growths_text),
    WithJsonSchema(
        {"anyOf": [_TEXT_SCHEMA, {"type": "object", "additionalProperties": _TEXT_SCHEMA}]}
    ),
]
"""Rates of growth: one for all, or by the names or patterns of links and ``defaults``."""
