"""What stands after the `?` of a request: checked, bounded, unknown keys refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from twin.core.errors import did_you_mean, one_of, show
from twin.core.units import DAY_S, duration, format_duration
from twin.live.http.errors import HttpError

_LONGEST_S: Final = 7 * DAY_S
_MOST_DIGITS: Final = 12


class Query:
    """The parameters of one request; `known` are those that it may have."""

    def __init__(self, request: Request, known: Sequence[str] = ()) -> None:
        self._values: dict[str, str] = {}
        for key, value in request.query_params.multi_items():
            if key not in known:
                hint = did_you_mean(key, known) or (f"known: {', '.join(known)}" if known else "")
                raise HttpError(400, "unknown parameter", key[:60], hint)
            if key in self._values:
                raise HttpError(400, "is given twice", key)
            self._values[key] = value

    def one_of(self, key: str, names: Sequence[str], noun: str) -> str | None:
        """Return a name that is one of `names`, None where it is absent. Raises HttpError."""
        name = self._values.get(key)
        if name is not None and name not in names:
            hint = did_you_mean(name, names)
            hint = hint or (f"there are {one_of(names, 'and')}" if len(names) <= 10 else "")
            raise HttpError(404, f"'{name[:100]}' is no {noun} of this twin", key, hint)
        return name

    def required(self, key: str, names: Sequence[str], noun: str) -> str:
        """Return the same where it has to be there."""
        name = self.one_of(key, names, noun)
        if name is None:
            raise HttpError(400, "is missing", key, f"such as ?{key}=NAME")
        return name

    def seconds(self, key: str, default: str) -> float:
        """Return a duration in seconds. Raises HttpError."""
        try:
            value = duration(self._values.get(key, default))
        except ValueError as error:
            raise HttpError(400, str(error), key) from None
        if not 0 < value <= _LONGEST_S:
            what = f"must be longer than 0s and at most {format_duration(_LONGEST_S)}"
            raise HttpError(400, what, key)
        return value

    def whole(self, key: str) -> int | None:
        """Return a whole number of at least 0, None where it is absent. Raises HttpError."""
        text = self._values.get(key)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
            what = f"must be a whole number of at least 0, not {show(text)}"
            raise HttpError(400, what, key)
        return int(text)

    def instant(self, key: str) -> float | None:
        """Return a time as seconds since 1970, None where it is absent. Raises HttpError."""
        text = self._values.get(key)
        if text is None:
            return None
        try:
            # In a query, `+` stands for a space.
            time = datetime.fromisoformat(text.replace(" ", "+"))
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            what = f"must be an ISO-8601 time, not {show(text)}"
            raise HttpError(400, what, key, "such as 2026-04-04T20:00Z") from None
