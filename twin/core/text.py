"""Text and JSON from bytes, with the line of whatever cannot be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twin.core.errors import InputError, Problem

ARROW = ">"
"""Between the two ends in the name of a link or a flow; in no name of a site."""


def line_at(data: bytes, offset: int) -> int:
    """Return the line, counted from 1, of the byte at `offset`."""
    return data.count(b"\n", 0, offset) + 1


def decode(data: bytes, file: Path, what: str = "", suggestion: str = "") -> str:
    """Return bytes as text. Raises InputError naming `file` and the line that is not UTF-8.

    `what` is what the message says of that line, by default which byte is wrong.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = what or f"byte 0x{data[error.start]:02x} is not UTF-8 text"
        line = line_at(data, error.start)
        raise InputError(Problem(what, "", file, line, suggestion)) from None


def parse_json(data: bytes, file: Path, suggestion: str = "") -> object:
    """Return the value that JSON in UTF-8 holds.

    Raises InputError naming `file` and the line that cannot be read.
    """
    if not data:
        raise InputError(Problem("is empty", "", file, None, suggestion))
    text = decode(data, file, "is not text in UTF-8", suggestion)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line, what = error.lineno, f"is not JSON: {error.msg[:1].lower() + error.msg[1:]}"
    except RecursionError:
        line, what = 1, "is nested too deeply"
    except ValueError:  # more digits than Python turns into a number
        long = re.search(r"[0-9]{4000}", text)
        line = text.count("\n", 0, long.start() if long else 0) + 1
        what = "holds a number of too many digits"
    raise InputError(Problem(what, "", file, line, suggestion))
