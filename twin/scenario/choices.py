"""The policies of a scenario: by name or file, handed over by schedule, or given as objects."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.errors import PydanticUserError

from twin.core import content
from twin.core.errors import InputError, Loc, Problem, one_line, show
from twin.policy.base import RESERVED, Policy, is_bound
from twin.policy.load import PolicySource
from twin.policy.schedule import schedule_of


@dataclass(frozen=True, slots=True)
class Member:
    """One policy's file and parameters, and from which interval on it decides."""

    source: PolicySource
    parameters: dict[str, Any]
    first: int = 0

    def make(self, where: Loc = ()) -> Policy:
        """Return a fresh policy."""
        return self.source.make(self.parameters, where)

    @property
    def use(self) -> str:
        """What names it from any folder: its name where it is shipped, else its absolute path."""
        shipped = content.shipped("policies").get(self.source.name)
        return self.source.name if shipped == self.source.path else str(self.source.path.resolve())

    def resolved(self, folder: Path, kpis: tuple[str, ...]) -> dict[str, Any]:
        """Return the entry with every default written out and its own files by absolute path."""
        announced = self.source.models(self.make(), kpis)
        models = [model for model in announced if content.is_path("models", model)]

        def absolute(value: Any) -> Any:
            return str((folder / value).resolve()) if value in models else value

        checked = self.source.policy.parameters()(**self.parameters)
        return {"use": self.use} | {
            name: [absolute(v) for v in value] if isinstance(value, list) else absolute(value)
            for name, value in checked.model_dump(mode="json").items()
        }


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy as the scenario wants it: one member, or several handed over by schedule."""

    name: str
    members: tuple[Member, ...]
    scheduled: bool = False

    @property
    def bound(self) -> bool:
        """Whether a member sees the future."""
        return any(is_bound(member.source.policy) for member in self.members)

    def make(self) -> Policy:
        """Return a fresh policy, without anything learnt."""
        if not self.scheduled:
            return self.members[0].make()
        return schedule_of([(member.first, member.make()) for member in self.members])


@dataclass(frozen=True, slots=True)
class GivenMember(Member):
    """A policy that was given as an object: it has no file that a scenario could name."""

    @property
    def use(self) -> str:
        """What names it: its class, and the module of that."""
        return f"{self.source.policy.__module__}.{self.source.policy.__qualname__}"


@dataclass(frozen=True, slots=True)
class GivenPolicy(PolicyChoice):
    """A policy that was given as an object."""

    policy: Policy | None = None

    def make(self) -> Policy:
        """Return a copy of the policy as it was given."""
        return copy.deepcopy(self.policy)  # type: ignore[return-value]

    @classmethod
    def of(cls, name: str, policy: Policy) -> GivenPolicy:
        """Return the choice of a policy under a name."""
        kind = type(policy)
        model = kind.parameters()
        values = {key: getattr(policy, key) for key in model.model_fields}
        parameters = model.model_construct(**values).model_dump(mode="json", warnings=False)
        member = GivenMember(PolicySource(name, _file(kind), _code(kind), kind), parameters)
        return cls(name, (member,), policy=policy)


def _with_defaults(kind: type[Policy], place: int) -> Policy:
    try:
        return kind()
    except (TypeError, PydanticUserError) as error:
        what = f"{kind.__name__} cannot be made without arguments: {error}"
        raise InputError(Problem(one_line(what), ("policies", place))) from None


def _file(kind: type[Policy]) -> Path:
    try:
        return Path(inspect.getsourcefile(kind) or "?")
    except (TypeError, OSError):
        return Path("?")


def _code(kind: type[Policy]) -> bytes:
    """Return the source of a class; its name alone where there is none, as at a prompt."""
    try:
        return inspect.getsource(kind).encode()
    except (TypeError, OSError):
        return f"{kind.__module__}.{kind.__qualname__}".encode()


def named(policies: Iterable[Any]) -> tuple[list[Any], dict[str, GivenPolicy]]:
    """Return policies with objects replaced by names, and the objects by those names.

    A class stands for a policy with its defaults. Raises InputError for what is no policy.
    """
    entries: list[Any] = []
    given: dict[str, GivenPolicy] = {}
    for place, policy in enumerate(policies):
        if isinstance(policy, str | dict):
            entries.append(policy)
            continue
        if isinstance(policy, type) and issubclass(policy, Policy):
            policy = _with_defaults(policy, place)
        if not isinstance(policy, Policy):
            what = f"must be a policy's name, class or instance, not {show(policy)}"
            raise InputError(Problem(what, ("policies", place)))
        reserved = sorted(set(type(policy).parameters().model_fields) & set(RESERVED))
        if reserved:
            what = f"'{reserved[0]}' is reserved and cannot be a parameter of a policy"
            raise InputError(Problem(what, ("policies", place)))
        kind = type(policy).__name__
        name, number = kind, 2
        while name in given:
            name, number = f"{kind}-{number}", number + 1
        given[name] = GivenPolicy.of(name, policy)
        entries.append(name)
    return entries, given
