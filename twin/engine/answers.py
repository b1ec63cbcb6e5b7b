"""What a policy may answer: one finite number of at least 0 for each link."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats


def as_array(answer: Any) -> NDArray[Any]:
    """Return an answer as an array. Raises ValueError for one that hides some of its values."""
    if type(answer) is np.ndarray:
        return answer
    if isinstance(answer, np.ma.MaskedArray):
        raise ValueError("answered a masked array; an allocation has a number for every link")
    return np.asarray(answer)


def numbers(answer: NDArray[Any]) -> tuple[Floats, str]:
    """Return an answer as floats, and why it is none: empty where it is one.

    What is too large for a float becomes infinite.
    """
    if answer.dtype.kind not in "fiub":
        return answer, f"answered {_kind(answer)}, not one number for each link"
    with np.errstate(all="ignore"):
        return answer.astype(np.float64), ""


def wrong_allocation(answer: Floats, links: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return why an answer is no allocation, empty where it is one, and on which links."""
    if answer.shape != (len(links),):
        expected = f"not ({len(links)},), one number for each link"
        return f"answered an array of shape {answer.shape}, {expected}", ()
    # One comparison each way also refuses NaN.
    if answer.min() >= 0 and answer.max() < np.inf:
        return "", ()
    where = np.flatnonzero(~((answer >= 0) & (answer < np.inf)))
    asked = f"asked for {answer[where[0]]} Mbit/s on link {links[where[0]]}"
    return f"{asked}; an allocation is a finite number, 0 or more", tuple(links[i] for i in where)


def _kind(answer: NDArray[Any]) -> str:
    if answer.dtype.kind in "US":
        return "texts"
    if answer.dtype.kind == "c":
        return "complex numbers"
    return "nothing" if answer.shape == () and answer.item() is None else "no numbers"
