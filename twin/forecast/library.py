"""Forecasters by the name or path that policies use, checked against the trace they run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twin.core import content
from twin.core.errors import InputError, Loc, Problem, one_of
from twin.forecast.forecaster import Forecaster


def find(model: str, folder: Path | None, where: Loc) -> Forecaster:
    """Return a forecaster by name or path. Raises InputError if there is none, or it is damaged."""
    return Forecaster.load(content.find("models", model, folder, where))


class ModelLibrary:
    """Forecasters that are found beside a scenario or are shipped; each is read once."""

    def __init__(
        self,
        folder: Path | None,
        kpis: tuple[str, ...],
        history: int,
        loaded: dict[str, Forecaster] | None = None,
    ) -> None:
        """Look for models in `folder`; they run on `kpis` after `history` samples."""
        self._folder, self._kpis, self._history = folder, kpis, history
        self.loaded = {} if loaded is None else loaded
        """Those that have been asked for."""

    def get(
        self,
        model: str,
        where: Loc = (),
        find: Callable[[str, Path | None, Loc], Forecaster] = find,
    ) -> Forecaster:
        """Return a forecaster. Raises InputError, which names `where`, if it cannot be used."""
        if model not in self.loaded:
            forecaster = find(model, self._folder, where)
            self._check(model, forecaster, where)
            self.loaded[model] = forecaster
        return self.loaded[model]

    def _check(self, model: str, forecaster: Forecaster, where: Loc) -> None:
        card = forecaster.card
        lacking = [name for name in card.features if name not in self._kpis]
        if lacking:
            kpis = f"the KPI{'s' * (len(lacking) > 1)} {one_of(lacking, 'and')}"
            what = f"'{model}' needs {kpis}, which the trace does not have"
            raise InputError(Problem(what, where, suggestion="use a model of 'internet' alone"))
        if self._history < card.window:
            needed = f"a history of at least {card.window} samples, not {self._history}"
            remedy = "write a larger 'demand.train', or give a longer trace"
            raise InputError(Problem(f"'{model}' needs {needed}", where, suggestion=remedy))
