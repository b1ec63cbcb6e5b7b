"""Policies that failed and were replaced by the fallback, from the log of a run."""

from __future__ import annotations

from dataclasses import dataclass

from twin.core.printable import listed
from twin.report.run.source import RunData


@dataclass(frozen=True, slots=True)
class FailedPolicy:
    """One policy that failed."""

    policy: str
    decided: int
    """Intervals that the fallback decided."""
    first_s: float
    """Time of its first failure, seconds since the start of the replay."""
    links: tuple[str, ...]
    """The links of its first failure; empty for all links together."""
    log: tuple[tuple[float, str], ...]
    """Time and reason of every failure."""

    @property
    def reason(self) -> str:
        """The reason of its first failure."""
        return self.log[0][1]


def failures(run: RunData) -> list[FailedPolicy]:
    """Return the policies that failed, in the order of their first failure."""
    log = run.events[run.events["phase"] == "failure"]
    decided = run.by_link.groupby("policy", sort=False)["fallback_intervals"].max()
    failed = []
    for name, rows in log.groupby("name", sort=False):
        entries = rows.to_dict("records")
        links = listed(str(entries[0]["links"]))
        reasons = tuple((float(row["time_s"]), _reason(str(row["detail"]))) for row in entries)
        failed.append(
            FailedPolicy(
                str(name),
                int(decided[name]),
                reasons[0][0],
                links if len(links) < len(run.links) or len(links) == 1 else (),
                reasons,
            )
        )
    return failed


def _reason(detail: str) -> str:
    """Return the reason of a failure, without the policy and the tick before it."""
    place, _, rest = detail.partition("): ")
    return rest if rest and ": tick " in place else detail.partition(": ")[2] or detail
