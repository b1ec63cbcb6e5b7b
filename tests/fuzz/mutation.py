"""Inputs that are nearly right: shipped ones, changed in a few places, from a seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

ODD = (
    "0", "-1", "1", "-0.0", "2", "7", "1e-320", "1e-300", "1e300", "1e308", "-1e308", "nan", "inf",
    ".nan", "-.inf", "9" * 20, "9" * 400, "9" * 5000, "0x10", "010", "1_0", "+5", "1,5", "١٢", "½",
    "true", "null", "~", "''", '"', "'", "{}", "[]", "[[]]", "{a: 1}", "[1, 2]", "&a *a", "!!str",
    "0s", "1s", "5min", "7min", "1h", "2d", "36526d", "-1h", "1h 1h", "5 parsecs", "now", "100%",
    "-1%", "1e9%", "0001-01-01T00:00", "9999-12-31T23:59", "9999-12-31T23:59-12:00",
    "0001-01-01T00:00+12:00", "2026-10-25T02:30", "2026-02-30", "all", "link-1", "defaults",
    "..", "/", "/dev/null", "/dev/zero", "a\\b", "a/b", "C:\\x", "con", "~root", "x" * 300,
    "\u202e", "\ud800", "\x00", "\x1b[31m", "é", "\U0001d7d9", " ", "\t", "%s",
    "{}{0}", "static_p95", "conformal",
)  # fmt: skip
"""What stands where something else was; nothing that is valid and large."""

_WORD = re.compile(r"[^\s,:{}\[\]=;]+")


def text(random: Random, given: str, most: int = 2) -> bytes:
    """Return a text with up to `most` changes, as bytes that may be no UTF-8."""
    data = given
    for _ in range(random.randint(1, most)):
        data = random.choice(_CHANGES)(random, data)
    encoded = data.encode("utf-8", "surrogatepass")
    return damaged(random, encoded) if random.random() < 0.1 else encoded


def damaged(random: Random, given: bytes, most: int = 4) -> bytes:
    """Return bytes with up to `most` changed, or with a part lost or written twice."""
    data = bytearray(given)
    for _ in range(random.randint(1, most)):
        place = random.randrange(len(data) + 1)
        length = random.choice((1, 1, 4, len(data)))
        match random.randrange(5):
            case 0:
                data[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length][:10_000]
            case 3 if place < len(data):
                data[place] ^= 1 << random.randrange(8)
            case _:
                data[place:place] = random.randbytes(random.choice((1, 4, 16)))
    return bytes(data)


def _word(random: Random, data: str) -> str:
    words = list(_WORD.finditer(data))
    if not words:
        return random.choice(ODD)
    word = random.choice(words)
    instead = random.choice((*ODD, random.choice(words).group()))
    return data[: word.start()] + instead + data[word.end() :]


def _line(random: Random, data: str) -> str:
    lines = data.splitlines(keepends=True) or [""]
    place = random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[place]
        case 1:
            lines.insert(random.randrange(len(lines)), lines[place])
        case 2:
            lines[place] = random.choice((" ", "  ", "- ", "\t")) + lines[place]
        case _:
            other = random.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
    return "".join(lines)


def _letter(random: Random, data: str) -> str:
    place = random.randrange(len(data) + 1)
    letter = random.choice(
        ('"', "'", ":", ",", ";", "\n", "\r", "-", "{", "]", "#", "%", "\0", "٣")
    )
    return data[:place] + letter + data[place + random.randrange(2) :]


_CHANGES: tuple[Callable[[Random, str], str], ...] = (_word, _word, _word, _line, _letter)
