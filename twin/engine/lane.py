"""A lane: one policy over the common demand, and the check of what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import InputError, RunError
from twin.policy.base import History, Observation, Policy
from twin.policy.load import describe, line_in
from twin.units import format_duration

Floats = NDArray[np.float64]


class Lane:
    """One policy, with what it asked for at every interval."""

    def __init__(self, name: str, policy: Policy, files: Sequence[str], intervals: int) -> None:
        """Take the policy's source files, to name the line where it raises."""
        self.name = name
        self.policy = policy
        self._files = files
        self._intervals = intervals
        self._decided = False
        self.latest: Floats = np.empty(0)
        """What it asked for last, Mbit/s, [links]."""
        self._rows: Floats | None = None

    @property
    def requested(self) -> Floats:
        """What it asked for, Mbit/s, [intervals, links]; read-only where it never changed."""
        if self._rows is None:
            return np.broadcast_to(self.latest, (self._intervals, self.latest.size))
        return self._rows

    def fit(self, history: History) -> None:
        """Let the policy learn. Raises RunError where it raises."""
        try:
            self.policy.fit(history)
        except (Exception, SystemExit) as error:
            raise RunError(f"policy {self.name}: fit(): {self._describe(error)}") from error

    def decide(self, observation: Observation) -> None:
        """Ask the policy for the coming interval and record its answer.

        Raises RunError, with policy, link and tick, for an answer that is not a finite
        allocation of at least 0 for each link, and where the policy raises.
        """
        try:
            answer = np.asarray(self.policy.allocate(observation))
        except (Exception, SystemExit) as error:
            raise RunError(f"{self._at(observation)}: {self._describe(error)}") from error
        # What equals an answer that was checked need not be checked, nor stored again.
        if not self._decided or not np.array_equal(answer, self.latest):
            self._check(answer, observation)
            self._change(answer.astype(np.float64), observation.interval)
        if self._rows is not None:
            self._rows[observation.interval] = answer

    def _check(self, answer: NDArray[Any], observation: Observation) -> None:
        links = observation.links
        if answer.dtype.kind not in "fiub":
            raise RunError(
                f"{self._at(observation)}: answered {_kind(answer)}, not one number for each link"
            )
        if answer.shape != (len(links),):
            raise RunError(
                f"{self._at(observation)}: answered an array of shape {answer.shape}, "
                f"not ({len(links)},), one number for each link"
            )
        # One comparison each way also refuses NaN.
        if not (answer.min() >= 0 and answer.max() < np.inf):
            link = int(np.flatnonzero(~((answer >= 0) & (answer < np.inf)))[0])
            raise RunError(
                f"{self._at(observation)}: asked for {answer[link]} Mbit/s on link "
                f"{links[link]}; an allocation is a finite number, 0 or more"
            )

    def _change(self, answer: Floats, interval: int) -> None:
        """Keep an answer unlike the one before; a constant policy needs one row for all time."""
        if self._rows is None and interval > 0:
            self._rows = np.empty((self._intervals, answer.size))
            self._rows[:interval] = self.latest
        self.latest = answer
        self._decided = True

    def _at(self, observation: Observation) -> str:
        since = format_duration(observation.interval * observation.tick_s)
        return f"policy {self.name}: tick {observation.interval} ({since})"

    def _describe(self, error: BaseException) -> str:
        told = str(error) if isinstance(error, InputError) else describe(error)
        for file in self._files:
            line = line_in(error, file)
            if line is not None:
                return f"{told} ({file}:{line})"
        return told


def _kind(answer: NDArray[Any]) -> str:
    if answer.dtype.kind in "US":
        return "texts"
    return "nothing" if answer.shape == () and answer.item() is None else "no numbers"
