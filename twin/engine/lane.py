"""A lane: the run of one policy over the common demand, and the check of what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Bools, Floats
from twin.core.errors import InputError, RunError
from twin.core.printable import printable
from twin.core.units import format_duration
from twin.engine.answers import as_array, numbers, wrong_allocation
from twin.engine.deadline import TimeIsUp, within
from twin.engine.fitted import packed, unpacked
from twin.engine.provisioning import Provisioning
from twin.engine.surroundings import Surroundings
from twin.policy.base import History, Observation, Policy, is_bound
from twin.policy.load import describe, is_interrupt, line_in, message_of
from twin.policy.services import looking_ahead, services


@dataclass(frozen=True, slots=True)
class Fallback:
    """What decides where a policy fails."""

    name: str
    policy: Policy
    after: int
    """Failures after which it decides for good."""
    time_limit: float | None
    """Seconds that an answer may take."""


class FailureNotice(NamedTuple):
    """An entry for the log about a policy that failed."""

    phase: str
    """``failure`` or ``stand-in``."""
    detail: str
    links: tuple[str, ...] = ()
    """Where it failed, if not everywhere."""


class Lane:
    """One policy, with what it asked for at every interval and what became of it."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        files: Sequence[str],
        intervals: int | None,
        provisioning: Provisioning | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        """Take the policy's source files, to name the line where it raises.

        `intervals` is how many there will be, where that is known.
        """
        self.name = name
        self.policy = policy
        self.provisioning = provisioning
        self.latest: Floats = np.empty(0)
        """What it asked for last, Mbit/s, [links]."""
        self.fallbacks = 0
        """Intervals that the fallback decided."""
        self.fell_back = False
        """Whether the fallback made the latest decision."""
        self.timed_out = False
        """Whether it ran into its time limit at the latest decision."""
        self._fitted: bytes | None = None
        """The policy as it had learnt, where time may interrupt it."""
        self.held = False
        """Whether its request stays as it is, whatever the policy answers."""
        self._stood_in: set[int] = set()
        self.files = files
        self._capacity = intervals or _ROOM
        self._live = intervals is None
        self._unfitted: Bools | None = None
        """Links of which nothing was known when it was fitted."""
        self._fallback = fallback
        self._failures = 0
        self._notices: list[FailureNotice] = []
        self._decided = False
        self._rows: Floats | None = None
        self._granted: Floats | None = None

    def decided_by(self, interval: int) -> str:
        """Return who decided for an interval: the policy, or its fallback, by name."""
        if interval not in self._stood_in:
            return self.name
        assert self._fallback is not None
        return self._fallback.name

    def requested(self, intervals: int) -> Floats:
        """Return what it asked for in the first intervals, Mbit/s, [intervals, links].

        One row, repeated, where it never changed.
        """
        if self._rows is None:
            return np.broadcast_to(self.latest, (intervals, self.latest.size))
        return self._rows[:intervals]

    def granted(self, intervals: int) -> Floats | None:
        """Return what was in force at the end of the first intervals, Mbit/s, [intervals, links].

        None where that is what it asked for, limited by the capacity alone.
        """
        return None if self._granted is None else self._granted[:intervals]

    def close(self, interval: int, nominal: Floats) -> None:
        """Record what is in force at the end of an interval; `nominal` capacity limits it."""
        if self._granted is not None:
            self._granted = _with_room(self._granted, interval)
            np.minimum(self.in_force, nominal, out=self._granted[interval])

    def begin_provisioning(self, provisioning: Provisioning, granted: Floats) -> None:
        """Let requests become orders from now on; `granted` was in force until now."""
        if self._decided:
            provisioning.begin(self.latest, granted)
        self.provisioning = provisioning
        self._granted = np.empty((max(self._capacity, len(granted) + 1), len(self.latest)))
        self._granted[: len(granted)] = granted

    def hand_over(self, successor: Lane) -> None:
        """Let the policy of another lane, which has been fitted, decide from now on."""
        self.policy, self.files, self._failures = successor.policy, successor.files, 0
        self._fitted = successor._fitted

    def take_learnt(self, other: Lane) -> None:
        """Know what a lane of the same policy has learnt."""
        self.policy, self._fallback, self._fitted = other.policy, other._fallback, other._fitted
        self._unfitted, self._failures = other._unfitted, other._failures
        self._notices = list(other._notices)

    @property
    def in_force(self) -> Floats:
        """What is provisioned now, before the capacity limits it, Mbit/s, [links]."""
        return self.latest if self.provisioning is None else self.provisioning.in_force

    def fit(self, history: History) -> None:
        """Let the policy, and its fallback, learn.

        Raises RunError where the policy raises and nothing stands in for it.
        """
        spare = self._fallback
        if self._live:
            unseen = services().unseen(history.samples)
            # Where nothing was known of any, the fallback decides, and says so.
            self._unfitted = unseen if unseen.any() and not unseen.all() else None
        if spare is not None:
            self._fit(spare.policy, history, f"fallback {spare.name}: ")
        try:
            self._fit(self.policy, history)
        except RunError as error:
            if spare is None:
                raise
            self._failures = spare.after
            self._notices.append(FailureNotice("failure", str(error)))
        if spare is not None and spare.time_limit is not None:
            self._fitted = packed(self.policy)

    def _fit(self, policy: Policy, history: History, who: str = "") -> None:
        around, cause = Surroundings(), None
        try:
            # A history of its own: what is done to it is seen by nobody else.
            policy.fit(replace(history))
            wrong = around.restored()
        except BaseException as error:
            if is_interrupt(error):
                raise
            around.restored()
            wrong, cause = self._describe(error), error
        if wrong:
            raise RunError(f"policy {self.name}: {who}fit(): {wrong}") from cause

    def notices(self) -> list[FailureNotice]:
        """Return the failures and stand-ins since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def decide(
        self, observation: Observation, around: Surroundings, timed_out: bool | None = None
    ) -> None:
        """Ask the policy for the coming interval and record its answer.

        Where it is held, the request before is recorded in its place. It is a failure of the
        policy to leave other surroundings than it found. Where this was decided before,
        `timed_out` is whether it ran into its time limit then: a clock does not decide it again.

        Raises RunError, with policy, link and tick, for an answer that is not a finite allocation
        of at least 0 for each link, and where the policy raises, unless a fallback stands in.
        """
        answer, new = self._answer(observation, around, timed_out)
        if self.held:
            answer, new = self.latest, False
        if new:
            self._change(answer.astype(np.float64), observation.interval)
        if self._rows is not None:
            self._rows = _with_room(self._rows, observation.interval)
            self._rows[observation.interval] = answer
        if self.provisioning is not None and self._granted is None:
            self._granted = np.empty((self._capacity, answer.size))

    def _answer(
        self, observation: Observation, around: Surroundings, timed_out: bool | None
    ) -> tuple[NDArray[Any], bool]:
        """Return the allocation, and whether it differs from the one before."""
        spare = self._fallback
        self.fell_back = self.timed_out = False
        stand_in, broken = None, None
        if spare is None:
            return self._asked(self.policy, observation, around)
        try:
            # The fallback observes from the start, so that it is ready when it is needed.
            stand_in = self._asked(spare.policy, observation, around, f"fallback {spare.name}")
        except RunError as error:
            broken = error
        if self._failures < spare.after:
            try:
                if timed_out:
                    raise self._too_late(observation, spare.time_limit or 0)
                limit = spare.time_limit
                if timed_out is not None and limit is not None:
                    limit = max(_PATIENCE * limit, _LEAST_PATIENCE_S)
                stood = None if stand_in is None else stand_in[0]
                return self._asked(self.policy, observation, around, limit=limit, spare=stood)
            except RunError as error:
                if self.timed_out and timed_out is False:
                    raise RunError(f"{error}, and did not when this was decided") from None
                self._failures += 1
                self._notices.append(FailureNotice("failure", str(error), error.links))
                if self.timed_out and self._failures < spare.after:
                    self._begin_again(spare.after)
        if stand_in is None:
            assert broken is not None
            raise broken
        self.fallbacks += 1
        self.fell_back = True
        self._stood_in.add(observation.interval)
        if self._notices:
            self._notices.append(FailureNotice("stand-in", f"{spare.name} decides {self._until}"))
        return stand_in

    def _is_new(self, answer: NDArray[Any]) -> bool:
        # The bare comparison: numpy.array_equal takes twice as long for a thousand links.
        same = self._decided and answer.shape == self.latest.shape
        return not (same and bool((answer == self.latest).all()))

    def _asked(
        self,
        policy: Policy,
        observation: Observation,
        around: Surroundings,
        who: str = "",
        limit: float | None = None,
        spare: Floats | None = None,
    ) -> tuple[NDArray[Any], bool]:
        """Return the answer of a policy, and whether it differs from the allocation before.

        Raises RunError, which names `who` if it is not the policy itself, for an answer that is
        no allocation, and for one that took longer than `limit` seconds.
        """
        cause: BaseException | None = None
        try:
            if limit is None and not is_bound(type(policy)):
                answer = as_array(policy.allocate(observation))
            else:
                answer = self._limited(policy, observation, limit)
            wrong = around.restored()
        except BaseException as error:
            if is_interrupt(error):
                raise
            around.restored()
            if limit is not None and isinstance(error, TimeIsUp):
                raise self._too_late(observation, limit) from error
            wrong, cause = self._describe(error), error
        if wrong:
            raise RunError(f"{self._at(observation, who)}: {wrong}") from cause
        if answer.dtype.char != "d":
            answer, wrong = numbers(answer)
        if self._live and not wrong:
            answer = self._with_unseen(answer, observation, spare)
        # An answer equal to the one before has been checked and stored already.
        new = not wrong and self._is_new(answer)
        where: tuple[str, ...] = ()
        if new:
            wrong, where = wrong_allocation(answer, observation.links)
        if wrong:
            raise RunError(f"{self._at(observation, who)}: {wrong}", where)
        return answer, new

    @property
    def _until(self) -> str:
        """How long the fallback decides, in words."""
        if self._fallback is None or self._failures < self._fallback.after:
            return "for this interval"
        # What is live learns again, whether from a history that grows or as it goes on.
        return "until the policy learns anew" if self._live else "for the rest of the replay"

    def _begin_again(self, after: int) -> None:
        """Forget what was decided since the policy learnt: it may have been half changed."""
        if self._fitted is None:
            self._failures = after
            why = f"policy {self.name}: cannot be copied, so that it is not asked again"
            self._notices.append(FailureNotice("failure", why))
        else:
            self.policy = unpacked(self._fitted)

    def _too_late(self, observation: Observation, limit: float) -> RunError:
        self.timed_out = True
        return RunError(f"{self._at(observation, '')}: took longer than {format_duration(limit)}")

    def _with_unseen(
        self, answer: Floats, observation: Observation, spare: Floats | None
    ) -> Floats:
        """Return an answer that says something of all links, where some are still unknown.

        A link of which nothing has been seen gets its capacity, 0 where that is unlimited. What a
        policy cannot say of a link of which nothing was known when it fitted, `spare` says.
        """
        if answer.shape != (len(observation.links),):
            return answer
        unseen = services().unseen(observation.closed)
        if unseen.any():
            capacity = observation.capacity_mbps
            answer = np.where(unseen, np.where(np.isfinite(capacity), capacity, 0.0), answer)
        if spare is not None and self._unfitted is not None:
            answer = np.where(self._unfitted & np.isnan(answer), spare, answer)
        return answer

    def _limited(
        self, policy: Policy, observation: Observation, limit: float | None
    ) -> NDArray[Any]:
        """Return the answer of a policy that may take so long, and see the future if a bound."""
        with looking_ahead(is_bound(type(policy))):
            if limit is None:
                return as_array(policy.allocate(observation))
            return within(limit, lambda: as_array(policy.allocate(observation)))

    def _change(self, answer: Floats, interval: int) -> None:
        """Keep an answer unlike the one before; a constant policy needs one row for all time."""
        if self._rows is None and interval > 0:
            self._rows = np.empty((max(self._capacity, interval + 1), answer.size))
            self._rows[:interval] = self.latest
        self.latest = answer
        self._decided = True

    def _at(self, observation: Observation, who: str) -> str:
        since = format_duration(observation.interval * observation.tick_s)
        place = f"policy {self.name}: tick {observation.interval} ({since})"
        return f"{place}: {who}" if who else place

    def _describe(self, error: BaseException) -> str:
        if isinstance(error, TimeIsUp):
            message = "was at work when the run's time was up"
        elif isinstance(error, InputError):
            message = printable(message_of(error))
        else:
            message = describe(error)
        for file in self.files:
            line = line_in(error, file)
            if line is not None:
                return f"{message} ({file}:{line})"
        return message


_PATIENCE, _LEAST_PATIENCE_S = 10, 60.0
"""What was decided before within its time limit may take so many times as long, or seconds."""
_ROOM = 288
"""Intervals to make room for where nobody knows how many there will be."""


def _with_room(rows: Floats, interval: int) -> Floats:
    """Return the rows, or longer ones with the same beginning where `interval` has no row."""
    if interval < len(rows):
        return rows
    longer = np.empty((2 * len(rows), rows.shape[1]))
    longer[: len(rows)] = rows
    return longer
