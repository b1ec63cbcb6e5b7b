"""Values as JSON can say them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a value of plain numbers, texts, lists and mappings.

    What is missing (NaN) and what is unlimited (inf) have no number in JSON: both become null, and
    the name of a column says which of the two it can be.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def encoded(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False).encode()
