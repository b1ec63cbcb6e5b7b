"""The result of a finished run, read from its folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from twin.core.errors import InputError, Problem
from twin.results.folder import read_manifest
from twin.results.manifest_file import check_file
from twin.results.result import Drawing, Result

if TYPE_CHECKING:
    import pandas as pd


_TEXTS: Final = ("policy", "link", "kind", "name", "phase", "links", "detail", "flow", "site")
"""Columns of names and words."""


class SavedResult(Result):
    """What a run left in its folder. Tables are read when first asked for."""

    def __init__(self, folder: str | Path, drawing: Drawing | None = None) -> None:
        """Take the folder of a finished run. Raises InputError where it is none."""
        self.folder = Path(folder)
        self._drawing = drawing
        self.manifest = read_manifest(self.folder)
        """What decided its numbers, as manifest.json."""
        self.wall_time_s: float = self.manifest["wall_time_s"]
        self._name: str = self.manifest["name"]

    def __getattr__(self, name: str) -> NoReturn:
        # What a run has in memory alone.
        if name in {"scenario", "recording"}:
            raise AttributeError(f"the result was read from {self.folder}, which holds no {name}")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __repr__(self) -> str:
        return f"<Result {self._name}: from {self.folder}>"

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        file = check_file(self.folder, self.manifest, name)
        try:
            if file.suffix == ".parquet":
                return pd.read_parquet(file)
            # Names are texts, also where they look like numbers or like nothing.
            empty = {
                name: [""] for name in pd.read_csv(file, nrows=0).columns if name not in _TEXTS
            }
            texts = dict.fromkeys(_TEXTS, str)
            return pd.read_csv(file, dtype=texts, keep_default_na=False, na_values=empty)
        except (OSError, ValueError, LookupError, TypeError) as error:
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

    @cached_property
    def flow_service(self) -> pd.DataFrame:
        """A row for each policy and flow. Raises InputError for a run without a matrix."""
        return self._of_a_matrix("flows.csv")

    @cached_property
    def site_totals(self) -> pd.DataFrame:
        """A row for each site. Raises InputError for a run without a matrix."""
        return self._of_a_matrix("sites.csv")

    def _of_a_matrix(self, name: str) -> pd.DataFrame:
        if name not in self.manifest["files"]:
            what = f"holds no {name}: the run had no demand from site to site"
            raise InputError(Problem(what, file=self.folder))
        return self._table(name)

    def save(self, folder: str | Path, *, force: bool = False, figures: bool = True) -> Path:
        """Refuse: it is saved already. Raises InputError."""
        del force, figures
        raise InputError(Problem(f"is saved in {self.folder}", file=folder))
