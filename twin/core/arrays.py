"""Names for the arrays that everything is made of."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Floats32: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

T = TypeVar("T")


def of_columns(whole: T, columns: Ints, apart: Collection[str] = ()) -> T:
    """Return a copy of an object whose arrays all end with columns, for some of these.

    A column may be taken more than once. Attributes that are named in `apart` stay as they are.
    """
    some = copy.copy(whole)
    for name, value in vars(whole).items():
        if isinstance(value, np.ndarray) and name not in apart:
            setattr(some, name, value[..., columns])
    return some
