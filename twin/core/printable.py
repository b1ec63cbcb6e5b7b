"""Names that users gave, as they may be printed, drawn, and written to tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks that change the direction in which what follows is shown."""
_UNPRINTABLE = re.compile(rf"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff{_BIDI}]")
_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""


def printable(text: str, keep: str = "") -> str:
    r"""Return a text in which nothing controls what shows it, but for the characters of `keep`.

    Control characters and marks of direction are written as escapes, such as ``\x1b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda m: m[0] if m[0] in keep else _escape(m[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def unfit(name: str) -> str:
    """Return why a name cannot be one of a link or a policy; empty where it can.

    Names stand in tables that spreadsheets open, and on terminals.
    """
    if _UNPRINTABLE.search(name):
        return "has a control character or a mark of direction"
    if name.startswith(_FORMULA):
        return f"begins with '{name[0]}', which spreadsheets take for a formula"
    return ""


def list_text(names: Iterable[str]) -> str:
    """Return names as one text, from which :func:`listed` gets them back, whatever is in them."""
    return json.dumps(list(names), ensure_ascii=False)


def listed(text: str) -> tuple[str, ...]:
    """Return the names in a text that :func:`list_text` made. Raises ValueError for any other."""
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{text!r} is not a list of names")
    return tuple(names)
