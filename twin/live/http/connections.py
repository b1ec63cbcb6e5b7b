"""How many connections there are at once: in all, from one address, and beyond that for probes."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol

_SITE_BITS: Final = 64
"""Of an address of IPv6, what one host or one site has been given: it has all that begin so."""


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections are taken."""

    in_all: int = 256
    of_one: int = 128
    """From one address."""
    spare: int = 32
    """Beyond these, on which nothing but probes is answered."""


class Connection(Protocol):
    """What a place is given to."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""

    def end(self) -> None:
        """Close it now."""


class Connections:
    """The open connections of a server. All of it runs in the thread of the event loop.

    Who comes when all places are taken gets a spare one. The spare places cannot be filled: once
    they are taken, one on which nothing is under way makes way, and otherwise the oldest. So a
    probe, which asks as soon as it is connected, is answered whatever else goes on.
    """

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.limits = limits or ConnectionLimits()
        self.refused: Counter[str] = Counter()
        """Connections that got a spare place, by the limit that was reached."""
        self._of: Counter[str] = Counter()
        self._placed: dict[Connection, str] = {}
        self._spare: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._placed) + len(self._spare)

    def enter(self, connection: Connection, address: str) -> str:
        """Give a place to a connection; return why it is a spare one, or an empty text."""
        key, limits = _who(address), self.limits
        if len(self._placed) >= limits.in_all:
            limit, why = "in_all", f"{limits.in_all} connections are open, and no more are taken"
        elif self._of[key] >= limits.of_one:
            limit, why = "of_one", f"{limits.of_one} connections of this address are open already"
        else:
            self._placed[connection] = key
            self._of[key] += 1
            return ""
        self.refused[limit] += 1
        if len(self._spare) >= limits.spare:
            self._make_way()
        self._spare[connection] = None
        return why

    def leave(self, connection: Connection) -> None:
        """Take the place back."""
        self._spare.pop(connection, None)
        key = self._placed.pop(connection, None)
        if key is not None:
            self._of[key] -= 1
            if not self._of[key]:
                del self._of[key]

    def _make_way(self) -> None:
        leaving = next((each for each in self._spare if each.idle), next(iter(self._spare)))
        del self._spare[leaving]
        leaving.end()


def _who(address: str) -> str:
    """Return what stands for whoever has an address."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, _SITE_BITS), strict=False))
