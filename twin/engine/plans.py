"""The events of a simulation, and what they are compiled to."""

from __future__ import annotations

from typing import Any, TypeVar

from twin.engine.routes import RouteState, route_states
from twin.events.base import Change, Event
from twin.events.course import Course
from twin.events.effects import Distortion, Echo, Effect, Freeze, Silence
from twin.events.scope import Scope
from twin.events.watch import Watch

T = TypeVar("T", Echo, Distortion, Silence, Freeze)


class Plans:
    """Events by number, in the order in which they were added; a cancelled one has no plans."""

    def __init__(self, links: int, detection_delay: float) -> None:
        """Take when routers see a failure or a repair, seconds after it."""
        self.events: list[Event] = []
        self.watches: dict[int, Watch] = {}
        """What looks at the offered load, by the number of its event."""
        self.detection_delay = detection_delay
        self._links = links
        self._changes: dict[int, tuple[Change, ...]] = {}
        self._courses: dict[int, tuple[Course, ...]] = {}
        self._effects: dict[int, tuple[Effect, ...]] = {}

    def take(self, event: Event, scope: Scope) -> tuple[Change, ...]:
        """Compile an event, whose number is the next one; return its changes."""
        number = len(self.events)
        self.events.append(event)
        self._changes[number] = tuple(event.changes(scope))
        self._courses[number] = event.courses(scope)
        self._effects[number] = event.effects(scope)
        watch = event.watch(scope)
        if watch is not None:
            self.watches[number] = watch
        return self._changes[number]

    def drop(self, number: int) -> None:
        """Forget what an event that has not begun would do."""
        by_number: tuple[dict[int, Any], ...] = (
            self._changes, self._courses, self._effects, self.watches,
        )  # fmt: skip
        for plans in by_number:
            plans.pop(number, None)

    @property
    def courses(self) -> list[Course]:
        """How all events change the offered demand."""
        return [course for courses in self._courses.values() for course in courses]

    def effects(self, kind: type[T]) -> list[T]:
        """Return all effects of a kind."""
        every = (effect for effects in self._effects.values() for effect in effects)
        return [effect for effect in every if isinstance(effect, kind)]

    def states(self) -> list[RouteState]:
        """Return what routing depends on, from instant to instant, as far as it is planned."""
        changes = (change for changes in self._changes.values() for change in changes)
        return route_states(changes, self._links, self.detection_delay)

    def held(self, time: float) -> set[str]:
        """Return the policies that keep their requests as they are at `time`."""
        freezes = (each for each in self.effects(Freeze) if each.start <= time < each.end)
        return {policy for freeze in freezes for policy in freeze.policies}
