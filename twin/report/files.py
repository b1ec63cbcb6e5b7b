"""Reads the tables behind a report; whatever is wrong with a file is one line that names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from twin.core.errors import InputError, Problem, one_line

if TYPE_CHECKING:
    import pandas as pd


def read_table(file: Path, needed: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    """Return a table whose columns are numbers, apart from `texts`. Raises InputError.

    `needed` columns have to be there.
    """
    import pandas as pd

    with readable(file):
        # Python reads a float exactly as it was written; the fast parser of pandas may not.
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        for name in [column for column in table.columns if column not in texts]:
            table[name] = [float(value) if value else np.nan for value in table[name]]
        lacking = [name for name in needed if name not in table.columns]
        if lacking:
            raise ValueError(f"has no column '{lacking[0]}'")
    return table


def check_numbers(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ValueError where a column holds anything but finite numbers."""
    for name in columns:
        if not np.isfinite(table[name]).all():
            raise ValueError(f"column '{name}' holds what is no number")


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn any error that a missing or damaged file causes into one line."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(Problem("is missing from the run's folder", file=file)) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
            yaml.YAMLError) as error:  # fmt: skip
        what = one_line(str(error)) or type(error).__name__
        raise InputError(Problem(f"cannot be read: {what}", file=file)) from None
