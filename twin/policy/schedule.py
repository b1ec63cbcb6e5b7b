"""A schedule: one policy handed over to another at a tick."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from twin.policy.base import History, Observation, Policy, ask, is_bound


class Schedule(Policy):
    """Every member fits and observes from the start; the one whose turn it is decides."""

    def __init__(self, members: list[tuple[int, Policy]]) -> None:
        """Take (first interval, policy) in order; the first begins at interval 0."""
        self._starts = [start for start, _ in members]
        self._policies = [policy for _, policy in members]

    def fit(self, history: History) -> None:
        """Fit every member, each on a history of its own."""
        for policy in self._policies:
            policy.fit(replace(history))

    def allocate(self, observation: Observation) -> ArrayLike:
        """Return the answer of the member whose turn it is."""
        turn = int(np.searchsorted(self._starts, observation.interval, side="right")) - 1
        answers = [ask(policy, observation) for policy in self._policies]
        return answers[turn]

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        """Return the models of all members."""
        return tuple(model for policy in self._policies for model in policy.models(kpis))


class _BoundSchedule(Schedule):
    """A schedule with a member that sees the future."""

    bound: ClassVar[bool] = True


def schedule_of(members: list[tuple[int, Policy]]) -> Schedule:
    """Return the schedule of (first interval, policy) in order; the first begins at interval 0."""
    sees_future = any(is_bound(type(policy)) for _, policy in members)
    return _BoundSchedule(members) if sees_future else Schedule(members)
