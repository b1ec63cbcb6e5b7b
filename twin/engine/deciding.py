"""One decision of all policies, which are asked one after another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from twin.core.arrays import Ints
from twin.core.errors import InputError, Problem, did_you_mean
from twin.engine.lane import Lane
from twin.engine.recording import LoggedEvent
from twin.engine.services import EngineServices
from twin.engine.surroundings import Surroundings
from twin.policy.base import History, Observation
from twin.policy.services import serving


def ask_all(
    lanes: Sequence[Lane],
    services: EngineServices,
    seen: Observation,
    now: float,
    held: Collection[str] = (),
    timed_out: Collection[str] | None = None,
) -> None:
    """Let every lane decide on what is observed at `now`, seconds since the start.

    The requests of those in `held` stay as they are. Where all this was decided before,
    `timed_out` are the policies that ran into their time limit then. Raises RunError.
    """
    around = Surroundings()
    with serving(services):
        for lane in lanes:
            services.asking = lane.name
            terms = lane.provisioning and lane.provisioning.commitment(now, seen.tick_s)
            own = seen._replace(commitment=terms.sealed()) if terms else seen
            lane.held = lane.name in held
            lane.decide(own, around, None if timed_out is None else lane.name in timed_out)
            if lane.timed_out:
                # It may have been interrupted in the middle of what others are answered from.
                services.renew()


class Learnt(NamedTuple):
    """What is known of a history before anything is decided."""

    lanes: Sequence[Lane]
    picks: Mapping[int, Ints]
    """What `auto` picked, by the steps ahead that were tried, [links]."""


def learn(
    lanes: Sequence[Lane],
    services: EngineServices,
    history: History,
    learnt: Learnt | None = None,
) -> None:
    """Let policies learn, or know what others have `learnt` from the same history."""
    if learnt is not None:
        for lane, other in zip(lanes, learnt.lanes, strict=True):
            lane.take_learnt(other)
        services.picks.update(learnt.picks)
        return
    with serving(services):
        for lane in lanes:
            lane.fit(history)
    services.forget_history()


def failures(lanes: Sequence[Lane], now: float) -> Iterator[LoggedEvent]:
    """Yield what the log says of policies that failed since it was asked last."""
    for lane in lanes:
        for phase, detail, links in lane.notices():
            yield LoggedEvent(now, "fallback", lane.name, phase, links, detail)


def lane_of(lanes: Sequence[Lane], policy: str) -> Lane:
    """Return the lane of a policy. Raises InputError for one that is not there."""
    lane = next((each for each in lanes if each.name == policy), None)
    if lane is None:
        names = [each.name for each in lanes]
        hint = did_you_mean(policy, names) or f"there are: {', '.join(names)}"
        raise InputError(Problem(f"no policy '{policy}'", "policy", suggestion=hint))
    return lane
