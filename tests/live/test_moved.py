"""Events as they go on where a twin begins anew."""

from __future__ import annotations

import twin
from twin.events.base import Event
from twin.live.moved import events_later, under_way


def later(event: Event, offset: float) -> Event:
    (moved,) = events_later((event,), offset)
    return moved


def test_what_has_come_to_stay_does_not_rise_again() -> None:
    surge = twin.Surge(start="10min", factor=3, ramp="1h")
    assert not under_way((surge,), 600)
    assert under_way((surge,), 1_800)
    assert not under_way((surge,), 4_200)
    there = later(surge, 5_000)
    assert (there.begins, there.duration, there.model_dump()["ramp"]) == (0, None, "0s")
    to_come = later(surge, 300)
    assert (to_come.begins, to_come.model_dump()["ramp"]) == (300, "1h")


def test_what_ends_has_the_rest_of_its_time() -> None:
    failure = twin.LinkFailure(links=["a"], start="10min", duration="1h")
    assert under_way((failure,), 700)
    left = later(failure, 1_200)
    assert (left.begins, left.duration) == (0, 3_000)
    assert list(events_later((failure,), 4_200)) == []
