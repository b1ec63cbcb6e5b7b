"""What looks at the offered load while a simulation runs, and lets changes follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from twin.core.arrays import Floats

if TYPE_CHECKING:
    from twin.events.base import Change

Loads = Callable[[float], Floats]
"""Returns the load in the intervals of the last so many seconds, Mbit/s, [intervals, links]."""


class Watch(Protocol):
    """Looks at every tick, once its interval has closed; plain data, which can be copied.

    It sees what is offered, which is the same under every policy, and no policy.
    """

    def closed(self, time: float, loads: Loads, built: Floats) -> Iterator[Change]:
        """Yield what follows, at `time` or later; `built` is the capacity, Mbit/s, [links]."""
