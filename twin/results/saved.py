"""The result of a finished run, read from its folder."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.core.errors import InputError, Problem
from twin.results.folder import MANIFEST
from twin.results.result import Drawing, Result

if TYPE_CHECKING:
    import pandas as pd


class SavedResult(Result):
    """What a run left in its folder. Tables are read when first asked for."""

    def __init__(self, folder: str | Path, drawing: Drawing | None = None) -> None:
        """Take the folder of a finished run. Raises InputError where it is none."""
        self.folder = Path(folder)
        self._drawing = drawing
        if not (self.folder / MANIFEST).is_file():
            what = f"is not the folder of a run: no {MANIFEST}"
            raise InputError(Problem(what, file=self.folder))
        try:
            facts = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            if "branches" in facts:
                futures = ", ".join(str(name) for name in facts["branches"])
                what = f"holds the futures of a fork, a folder for each: {futures}"
                raise InputError(Problem(what, file=self.folder, suggestion="name one of these"))
            self.wall_time_s = float(facts["wall_time_s"])
            self._name = str(facts["name"])
        except (OSError, ValueError, LookupError, TypeError):
            problem = Problem("cannot be read as a manifest", file=self.folder / MANIFEST)
            raise InputError(problem) from None
        self.manifest: dict[str, Any] = facts
        """What decided its numbers, as manifest.json."""

    def __repr__(self) -> str:
        return f"<Result {self._name}: from {self.folder}>"

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        file = self.folder / name
        try:
            return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
        except (OSError, ValueError) as error:
            what = f"cannot be read: {' '.join(str(error).split())}"
            raise InputError(Problem(what, file=file)) from None

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row for each policy and link, and one for each policy with link `all`."""
        return self._table("summary.csv")

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """A row for each policy, link and interval, in this order."""
        return self._table("intervals.parquet")

    @cached_property
    def events(self) -> pd.DataFrame:
        """A row for each event that started or ended, in order of time."""
        return self._table("events.csv")

    @cached_property
    def hours(self) -> pd.DataFrame:
        """A row for each policy, link and hour of the day."""
        return self._table("hours.csv")

    def save(self, folder: str | Path, *, force: bool = False, figures: bool = True) -> Path:
        """Refuse: it is saved already. Raises InputError."""
        del force, figures
        raise InputError(Problem(f"is saved in {self.folder}", file=folder))
