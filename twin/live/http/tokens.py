"""Who may do what: bearer tokens with a role, from a file that only its owner can read.

Only digests are kept. A token is compared by its digest and with all that there are, so that the
time that an answer takes says nothing of how much of a guess was right.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from twin.core.errors import InputError, Problem, did_you_mean, one_of
from twin.core.files import read_regular

_LEAST_LETTERS: Final = 20
"""A shorter token could be guessed."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_MAX_BYTES: Final = 1_000_000
_MADE_BY: Final = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
_OPEN: Final = stat.S_IRWXG | stat.S_IRWXO


class Role(StrEnum):
    """What a token is for."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Return whether this role does what `needed` stands for: an admin does both others."""
        return self in (Role.ADMIN, needed)


@dataclass(frozen=True)
class ApiToken:
    """One line of the file."""

    name: str
    role: Role
    digest: bytes
    """SHA-256 of the token."""


class ApiTokens:
    """The tokens that there are."""

    def __init__(self, tokens: tuple[ApiToken, ...]) -> None:
        self._tokens = tokens

    @classmethod
    def read(cls, path: Path) -> ApiTokens:
        """Read a file of lines ``NAME ROLE TOKEN``.

        Raises InputError for one that others than its owner can open, and for every wrong line.
        No message repeats what may be a token.
        """
        try:
            _check_mode(path)
            data = read_regular(path)
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise InputError(Problem(what, "--tokens", path)) from None
        if len(data) > _MAX_BYTES:
            raise InputError(Problem("is larger than 1 MB: no file of tokens", "--tokens", path))
        return cls(_parsed(data.decode("utf-8", "replace"), path))

    def holder(self, presented: str) -> ApiToken | None:
        """Return the token that was presented, None where there is no such."""
        digest = hashlib.sha256(presented.encode("utf-8", "replace")).digest()
        holder = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                holder = token
        return holder


def _check_mode(path: Path) -> None:
    # Windows has no such bits; there, who may open a file is not told by its mode.
    if os.name != "posix" or not path.stat().st_mode & _OPEN:
        return
    what = "can be opened by others than its owner"
    raise InputError(Problem(what, "--tokens", path, suggestion=f"chmod 600 {path}"))


def _parsed(text: str, path: Path) -> tuple[ApiToken, ...]:
    tokens: list[ApiToken] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = [] if line.lstrip().startswith("#") else line.split()
        if not words:
            continue
        try:
            tokens.append(_token(words, {token.name for token in tokens}))
        except _BadLineError as bad:
            problems.append(Problem(bad.what, "", path, number, bad.suggestion))
    if not tokens and not problems:
        example = f"write a line 'NAME ROLE TOKEN'; {_MADE_BY} makes a token"
        problems.append(Problem("holds no token", "--tokens", path, suggestion=example))
    if problems:
        raise InputError(problems)
    return tuple(tokens)


class _BadLineError(Exception):
    def __init__(self, what: str, suggestion: str = "") -> None:
        self.what, self.suggestion = what, suggestion
        super().__init__(what)


def _token(words: list[str], taken: set[str]) -> ApiToken:
    if len(words) != 3:
        raise _BadLineError("must be NAME ROLE TOKEN", "such as 'grafana read sha256:...'")
    name, role, secret = words
    if not _NAME.fullmatch(name):
        raise _BadLineError(
            "the name may have letters, digits, '.', '_' and '-'", "NAME ROLE TOKEN"
        )
    if name in taken:
        raise _BadLineError(f"a second token is called '{name}'", "give each a name of its own")
    if role not in tuple(Role):
        hint = did_you_mean(role, tuple(Role))
        raise _BadLineError(f"the role of '{name}' must be {one_of(tuple(Role))}", hint)
    digest = _DIGEST.fullmatch(secret)
    if secret.startswith("sha256:") and digest is None:
        raise _BadLineError(f"the digest of '{name}' must be 64 hexadecimal digits in lower case")
    if digest is None and len(secret) < _LEAST_LETTERS:
        what = f"the token of '{name}' is shorter than {_LEAST_LETTERS} characters"
        raise _BadLineError(what, f"{_MADE_BY} makes one")
    kept = bytes.fromhex(digest[1]) if digest else hashlib.sha256(secret.encode()).digest()
    return ApiToken(name, Role(role), kept)
