"""Which policies a what-if is about: those of the simulation, and others in the seat of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from twin.core import content
from twin.core.errors import InputError, Problem, did_you_mean
from twin.policy.base import is_bound
from twin.policy.load import load
from twin.scenario.choices import PolicyChoice


@dataclass(frozen=True)
class WantedPolicy:
    """A policy that is asked for."""

    name: str
    seat: str
    """The policy of the simulation in whose place it decides; itself where it is one of them."""
    successor: Mapping[str, Any] | None = None
    """The entry of a scenario that takes over from that one."""
    place: int = 0
    """Where it was asked for."""

    @property
    def joins(self) -> bool:
        """Whether the simulation has no policy of this name."""
        return self.name != self.seat


def wanted_policies(
    choices: Sequence[PolicyChoice], asked: Sequence[str | Mapping[str, Any]] | None
) -> tuple[list[WantedPolicy], list[str]]:
    """Return the policies that are asked for, by default all, and what was asked for in vain.

    A name is that of a policy of the simulation, or of a shipped one with its defaults; an entry
    as in a scenario takes over from the policy of its name. Where there is none, it takes the
    seat of the first policy. Raises InputError for one that is not known, or that sees the future.
    """
    bounds = {choice.name for choice in choices if choice.bound}
    known = [choice.name for choice in choices if choice.name not in bounds]
    entries = known if asked is None else asked
    if not entries or not known:
        raise InputError(Problem("names no policy", "policies"))
    found: dict[str, WantedPolicy] = {}
    notes: list[str] = []
    for i, entry in enumerate(entries):
        one = _wanted(entry, i, known, bounds)
        before = found.setdefault(one.name, one)
        if before is one:
            continue
        if before.successor != one.successor:
            what, remedy = f"a second policy is called '{one.name}'", "give it another 'name'"
            raise InputError(Problem(what, ("policies", i), suggestion=remedy))
        notes.append(f"policies.{i}: '{one.name}' is named twice, and answered once")
    return list(found.values()), notes


def _wanted(
    entry: str | Mapping[str, Any], place: int, known: Sequence[str], bounds: set[str]
) -> WantedPolicy:
    if isinstance(entry, str):
        name, use = entry, entry
        if entry in known:
            return WantedPolicy(name, name, None, place)
        if entry in bounds or entry not in shipped_policies():
            raise InputError(_unknown(entry, place, known, bounds))
        entry = {"use": entry}
    else:
        use = Path(str(entry.get("use") or "")).stem
        name = str(entry.get("name") or use)
    if use in bounds | _shipped_bounds():
        raise InputError(_unknown(use, place, known, bounds))
    seat = name if name in known else known[0]
    return WantedPolicy(name, seat, {**entry, "name": seat}, place)


def _unknown(name: str, place: int, known: Sequence[str], bounds: set[str]) -> Problem:
    if name in bounds | _shipped_bounds():
        return Problem(f"'{name}' sees the future, and there is none", ("policies", place))
    names = [*known, *(each for each in shipped_policies() if each not in known)]
    hint = did_you_mean(name, names) or f"there are: {', '.join(names)}"
    return Problem(f"no policy '{name}'", ("policies", place), suggestion=hint)


@cache
def shipped_policies() -> tuple[str, ...]:
    """Return the names of the shipped policies that see no future."""
    shipped = content.shipped("policies").items()
    return tuple(name for name, path in shipped if not is_bound(load(path).policy))


def _shipped_bounds() -> set[str]:
    return set(content.shipped("policies")) - set(shipped_policies())


def questionable(entry: Mapping[str, Any], place: int) -> Iterator[Problem]:
    """Yield what somebody far away may not ask for: policies that are not shipped, and files."""
    shipped = shipped_policies()
    use = entry.get("use")
    if "schedule" in entry or not isinstance(use, str) or use not in shipped:
        what = "must be a policy that is shipped"
        hint = did_you_mean(str(use)[:100], shipped) or f"there are: {', '.join(shipped)}"
        yield Problem(what, ("policies", place, "use"), suggestion=hint)
    for key, value in entry.items():
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and content.is_path("models", text) for text in texts):
            yield Problem("a request can name no file", ("policies", place, key))
