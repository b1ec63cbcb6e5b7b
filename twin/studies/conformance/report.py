"""The outcome of each check of a policy, and all of them as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from twin.core.units import counted


class Status(StrEnum):
    """The outcome of a check, as it is printed."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, its outcome, and what to do about it."""

    name: str
    status: Status
    finding: str = ""
    """What was seen."""
    hint: str = ""
    """What helps against that, where it is not ok."""

    @property
    def message(self) -> str:
        """What was seen, and what helps."""
        return "; ".join(part for part in (self.finding, self.hint) if part)

    def __str__(self) -> str:
        return self.line(self.message)

    def line(self, message: str) -> str:
        """Return its outcome and name, with `message` after them."""
        text = f"{self.status:<8} {self.name}"
        return f"{text}: {message}" if message else text


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """All checks of one policy, in the order in which they ran."""

    policy: str
    path: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings do not count."""
        return not self.with_status(Status.FAILED)

    def with_status(self, status: Status) -> tuple[Check, ...]:
        """Return the checks with that outcome."""
        return tuple(check for check in self.checks if check.status is status)

    def lines(self) -> Iterator[str]:
        """Yield a line for each check, then a summary; the same failure is told once."""
        first: dict[str, str] = {}
        for check in self.checks:
            earlier = first.setdefault(check.finding, check.name)
            repeated = check.status is Status.FAILED and earlier != check.name
            yield check.line(f"as in '{earlier}'") if repeated else str(check)
        warnings, failures = (
            len(self.with_status(Status.WARNING)),
            len(self.with_status(Status.FAILED)),
        )
        parts = [f"{counted(len(self.checks), 'check')}"]
        parts += [counted(warnings, "warning")] if warnings else []
        parts += [f"{failures} failed"] if failures else ["passed"]
        yield f"{self.policy}: {', '.join(parts)}"
