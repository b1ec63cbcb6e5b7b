"""The verdict of a batch, in sentences that need no statistics."""

from __future__ import annotations

from collections.abc import Sequence

from twin.batches.report.formatting import interval, many
from twin.batches.report.ranking_entries import Standing, surely_kept, told_apart
from twin.batches.report.source import BURN, OVER, RATE, Found
from twin.report.html.markup import some
from twin.report.metrics import metric

_FEW = 5
"""Replications below which Student's interval says little."""


def verdict(found: Found, ranked: Sequence[Standing]) -> list[str]:
    """Return the verdict: who keeps the SLA with least over-provisioning, and how sure that is."""
    if not len(found.runs):
        return ["No run of this batch has ended yet: there is nothing to compare."]
    if not len(found.points):
        failed = len(found.failed)
        which = "The only run" if failed == 1 else f"All {failed:,} runs"
        return [f"{which} failed: there is nothing to compare."]
    best = next((standing for standing in ranked if standing.rank == 1), None)
    if best is None:
        return ["Only bounds were run, which see the future: there is no policy to recommend."]
    others = [s for s in ranked if s.rank is not None and s.index != best.index]
    said = [
        _first(found, best, others), _broken(best, others), _against(found, best),
        _second(found, best, others), _sure(found, best),
    ]  # fmt: skip
    return [sentence for sentence in said if sentence]


def held(found: Found) -> list[str]:
    """Return what the batch holds, and what has to be known to trust it."""
    runs, failed = len(found.heads) + len(found.failed), len(found.failed)
    planned = found.facts["points"]
    most = found.facts["sweep"].get("replications", 1)
    upto = "up to " if found.facts["sweep"].get("until") else ""
    said = [
        f"{many(runs, 'run')} of {many(len(found.policies), 'policy')}: "
        f"{many(planned, 'point')} with {upto}{many(most, 'replication')}; "
        f"{f'{failed:,}' if failed else 'none'} failed."
    ]
    if failed and 0 < found.finished_points < planned:
        lost = planned - found.finished_points
        said.append(f"{lost:,} of the {planned:,} points have no run that ended well: not counted.")
    if found.facts["status"] != "complete":
        said.append(
            f"The batch has not finished: this is what it had of {upto}{planned * most:,} runs."
        )
    if len(found.points) and found.most_replications < 2:
        said.append(
            "Every point has a single replication: there are no intervals, and how much of a "
            "difference is chance cannot be said."
        )
    elif not found.facts.get("random", True):
        said.append("Nothing in the scenario is random: its replications are all the same.")
    elif 2 <= found.most_replications < _FEW:
        said.append(
            f"With fewer than {_FEW} replications intervals are very wide; more would tell."
        )
    return said


def _first(found: Found, best: Standing, others: Sequence[Standing]) -> str:
    points, sla = found.finished_points, f"the SLA ({_sla(found)})"
    alike = sum(s.points == best.points for s in others if s.broke <= best.broke)
    least = "with the least over-provisioning" if alike else ""
    full = any(s.points > best.points for s in others)
    none = "No policy that made no run fail" if full else "No policy"
    ended = " with a finished run" if points < found.facts["points"] else ""
    if best.points == points:
        only = "Only " if others and all(s.points < points for s in others) else ""
        every = "both" if points == 2 else f"all {points:,}"
        where = "" if points == 1 else f"at {every} points"
        parts = [f"{only}{best.name} keeps {sla}", f"{where}{ended}".strip(), least]
    elif best.points:
        parts = [
            f"{none} keeps {sla} at all {points:,} points{ended};",
            f"{best.name} keeps it at most of them, {best.points:,}{', ' * bool(least)}{least}",
        ]
    else:
        parts = [
            f"{none} keeps {sla}{' at any point' * (points > 1)};",
            f"{best.name} comes closest, violating {best.burn:.3g} times as much as that allows",
        ]
    return f"{' '.join(part for part in parts if part)}: it holds {_held(found, best)}."


def _broken(best: Standing, others: Sequence[Standing]) -> str:
    if best.broke:
        return f"But {many(best.broke, 'run')} failed because of it, and are not counted."
    told = [f"{s.name} made {many(s.broke, 'run')} fail" for s in others if s.broke]
    return f"{some(told)}, and comes after all that made none." if told else ""


def _held(found: Found, best: Standing) -> str:
    over, rate = found.mean(OVER), found.mean(RATE)
    told = [
        interval(metric(name), mean.mean[best.index], mean.half_width[best.index])
        for name, mean in ((OVER, over), (RATE, rate))
    ]
    return f"{told[0]} % of demand too much and is short in {told[1]} % of intervals"


def _sla(found: Found) -> str:
    if any(key.split(".")[0] == "sla" for key in found.keys):
        return "its target differs between points; all links together"
    target = 100 * float(found.facts.get("sla_target", 0))
    return f"unserved demand in at most {target:.3g} % of intervals, all links together"


def _against(found: Found, best: Standing) -> str:
    """Compare the best with the first policy, to which differences are."""
    if best.index == 0:
        return ""
    parts = []
    for name, what in (
        (OVER, f"the over-provisioning of {best.name}"), (RATE, "its share of violated intervals"),
    ):  # fmt: skip
        apart = found.apart(name)
        mean, width = apart.mean[best.index], apart.half_width[best.index]
        sure = told_apart(found, name, best.index, 0)
        chance = ", which may be chance" if sure is False else ""
        size = interval(metric(name), abs(mean), width)
        parts.append(f"{what} is {size} points {'higher' if mean > 0 else 'lower'}{chance}")
    return f"Against {found.policies[0]}, on the same demand, {' and '.join(parts)}."


def _second(found: Found, best: Standing, others: Sequence[Standing]) -> str:
    """Say how sure it is that the best is before the next."""
    if not others:
        return ""
    near = others[0]
    if near.broke and not best.broke:
        return ""
    if near.points < best.points:
        points = many(near.points, "point") if near.points else "none"
        over = metric(OVER).text(near.over)
        return f"{near.name}, which comes next, keeps it at {points} and holds {over} % too much."
    name, what = (OVER, "over-provisioning") if best.points else (BURN, "how far they miss the SLA")
    apart = told_apart(found, name, near.index, best.index)
    by = f"That {near.name} comes only second rests on {what}"
    if apart is None:
        return ""
    if apart:
        return f"{by}; the difference is larger than chance explains."
    return f"{by}; the difference may be chance: its 95 % interval includes 0."


def _sure(found: Found, best: Standing) -> str:
    sure = surely_kept(found, best.index)
    if sure is None or not best.points or len(sure) >= best.points:
        return ""
    return (
        f"With 95 % confidence {best.name} is within the SLA at {len(sure):,} of these "
        f"{many(best.points, 'point')}; at the others more replications would have to tell."
    )
