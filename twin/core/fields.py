"""Fields that several blocks of a user's input share, and what they refuse."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from twin.core.errors import show


class Strict(BaseModel):
    """A block of what a user writes: frozen, and a key that is not listed is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True, defer_build=True)


def _number(value: Any) -> Any:
    # pydantic would take `true` for 1 and '7' for 7; a scenario means what it says.
    if isinstance(value, bool | str):
        raise ValueError(f"must be a number, not {show(value)}")
    return value


def longer_than_nothing(value: float | None) -> float | None:
    """Return a duration. Raises ValueError for one of 0 s."""
    if value == 0:
        raise ValueError("must be longer than 0s")
    return value


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except OverflowError:
        return True
    except (TypeError, ValueError):
        return False
    return True


def iso_time(value: Any) -> Any:
    """Return what may be a time. Raises ValueError for a number, which is none."""
    # pydantic would take a number, in digits or not, for a Unix time.
    if not isinstance(value, str | datetime | None) or _is_number(value):
        raise ValueError(f"must be an ISO-8601 time, not {show(value)}")
    return value


Number = Annotated[float, BeforeValidator(_number)]
Integer = Annotated[int, BeforeValidator(_number)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Capacity = Annotated[Number, Field(gt=0)]
Amount = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
