"""Errors as a client reads them: what, where and a remedy, in JSON; never a traceback."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from twin.core.errors import InputError, Problem, dotted, one_line

_MOST: Final = 20
"""Problems that an answer lists; there may be one for each line of a body."""


_FOLDERS: Final = re.compile(r"(?<=\()(?:/|[A-Za-z]:\\)[^()]*[/\\](?=[^()/\\]+:\d+\))")
"""Those before the file and line in which a policy failed."""


def without_folders(text: str) -> str:
    """Return what is told of a failure, without where its file lies on this machine."""
    return _FOLDERS.sub("", text)


class HttpError(Exception):
    """A request that cannot be answered, with its status and what to do about it."""

    def __init__(
        self,
        status: int,
        what: str,
        where: str = "",
        suggestion: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.problems = status, (Problem(what, where, suggestion=suggestion),)
        self.headers = dict(headers or {})
        super().__init__(what)

    @classmethod
    def later(cls, status: int, what: str, seconds: float, suggestion: str = "") -> HttpError:
        """Return one that says when to try again."""
        wait = str(max(math.ceil(seconds), 1))
        return cls(status, what, "", suggestion or f"try again in {wait} s", {"Retry-After": wait})

    def response(self) -> Response:
        """Return it as an answer."""
        return error_response(self.status, self.problems, self.headers)


def refused(error: InputError, status: int = 400) -> Response:
    """Return the answer to a body or a query that is wrong."""
    return error_response(status, error.problems)


def error_response(
    status: int, problems: Iterable[Problem], headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer that lists problems, the first one by itself."""
    listed = [_said(problem) for problem in problems]
    first: dict[str, Any] = dict(listed[0])
    if len(listed) > 1:
        first["problems"] = listed[:_MOST]
        first["more_problems"] = max(len(listed) - _MOST, 0)
    return JSONResponse(first, status, headers)


def _said(problem: Problem) -> dict[str, str]:
    # Files of the machine that the twin runs on are nobody's affair out there.
    place = dotted(problem.where)
    if problem.line is not None:
        place = f"line {problem.line}" + (f": {place}" if place else "")
    return {
        "error": without_folders(one_line(problem.what)),
        "where": one_line(place),
        "suggestion": one_line(problem.suggestion),
    }
