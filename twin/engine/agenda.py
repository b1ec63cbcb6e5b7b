"""What is to happen, on SimPy's clock, as data.

SimPy keeps the time and the order. Its queue holds no functions but values (an instant, a phase and
what is to happen then), so that it can be read, copied and built again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappush
from typing import Any, NamedTuple

import simpy
from simpy.events import EventPriority

from twin.engine.actions import Happening
from twin.events.base import Phase


class Planned(NamedTuple):
    """One thing that is to happen."""

    time: float
    """Seconds from the start of the replay."""
    phase: Phase
    action: Any


class Agenda(simpy.Environment):
    """A SimPy environment whose events carry data."""

    def __init__(
        self, do: Callable[[Any], None], now: float = 0.0, planned: Iterable[Planned] = ()
    ) -> None:
        """Begin at `now` with what is `planned`; `do` is called with each action in turn."""
        super().__init__(initial_time=now)
        self._do = do
        for each in planned:
            self.plan(*each)

    def plan(self, time: float, phase: Phase, action: Any) -> None:
        """Plan an action at `time`, ordered by its phase among those of that instant."""
        event = simpy.Event(self)
        event._ok, event._value = True, Planned(time, phase, action)
        event.callbacks.append(self._happen)
        # `schedule` takes a delay, and a sum of delays is not always the very instant.
        heappush(self._queue, (time, EventPriority(phase), next(self._eid), event))

    def is_due(self, end: float) -> bool:
        """Return whether what comes next is before `end`, or closes an interval just then."""
        if not self._queue:
            return False
        time, phase, *_ = self._queue[0]
        return bool(time < end or (time == end and int(phase) == Phase.CLOSE.value))

    def is_next(self, phase: Phase) -> bool:
        """Return whether what comes next is of this phase."""
        return bool(self._queue) and int(self._queue[0][1]) == phase.value

    def wait(self, until: float) -> None:
        """Move the clock on to `until`, or to the next action if that comes first."""
        self._now = max(self._now, min(until, self.peek()))

    def _happen(self, event: simpy.Event) -> None:
        planned: Any = event.value
        self._do(planned.action)

    @property
    def planned(self) -> list[Planned]:
        """All that is to happen, in order."""
        entries: list[Any] = sorted(self._queue, key=lambda entry: entry[:3])
        return [entry[-1].value for entry in entries]

    def is_to_come(self, event: int, time: float) -> bool:
        """Return whether anything of the event with this number is planned for `time`."""
        return any(each.time == time for each in self.planned if _is_of(each, event))

    def without(self, event: int) -> list[Planned]:
        """Return all that is to happen but for the event with this number."""
        return [each for each in self.planned if not _is_of(each, event)]


def _is_of(planned: Planned, event: int) -> bool:
    return isinstance(planned.action, Happening) and planned.action.event == event
