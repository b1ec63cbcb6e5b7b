"""What became of each check of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from twin.core.units import counted


class Status(StrEnum):
    """How a check went, as it is printed."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was tried, how it went, and what to do about it."""

    name: str
    status: Status
    told: str = ""

    def __str__(self) -> str:
        text = f"{self.status:<8} {self.name}"
        return f"{text}: {self.told}" if self.told else text


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one policy, in the order in which they were made."""

    policy: str
    path: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings do not count."""
        return not self.of(Status.FAILED)

    def of(self, status: Status) -> tuple[Check, ...]:
        """Return the checks that went like that."""
        return tuple(check for check in self.checks if check.status is status)

    def lines(self) -> Iterator[str]:
        """Yield a line for each check, and one that sums up."""
        yield from map(str, self.checks)
        warnings, failures = len(self.of(Status.WARNING)), len(self.of(Status.FAILED))
        parts = [f"{counted(len(self.checks), 'check')}"]
        parts += [counted(warnings, "warning")] if warnings else []
        parts += [f"{failures} failed"] if failures else ["passed"]
        yield f"{self.policy}: {', '.join(parts)}"
