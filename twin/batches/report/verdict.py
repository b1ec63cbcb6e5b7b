"""The verdict of a batch, in sentences that need no statistics."""

from __future__ import annotations

from collections.abc import Sequence

from twin.batches.report.formatting import count_of, interval
from twin.batches.report.ranking_entries import RankingEntry, differ, surely_kept
from twin.batches.report.source import BURN, COST, OVER, RATE, BatchData
from twin.report.html.markup import some
from twin.report.metrics import metric

_FEW = 5
"""Replications below which Student's interval says little."""


def verdict(batch: BatchData, ranked: Sequence[RankingEntry]) -> list[str]:
    """Return the verdict: who keeps the SLA at least cost or waste, and how sure that is."""
    if not len(batch.runs):
        return ["No run of this batch has ended yet: there is nothing to compare."]
    if not len(batch.points):
        failed = len(batch.failed_runs)
        which = "The only run" if failed == 1 else f"All {failed:,} runs"
        return [f"{which} failed: there is nothing to compare."]
    best = next((entry for entry in ranked if entry.rank == 1), None)
    if best is None:
        return ["Only bounds were run, which see the future: there is no policy to recommend."]
    others = [s for s in ranked if s.rank is not None and s.index != best.index]
    sentences = [
        _first(batch, best, others), _broken(best, others), _against(batch, best),
        _second(batch, best, others), _sure(batch, best), _points(batch),
    ]  # fmt: skip
    return [sentence for sentence in sentences if sentence]


def contents(batch: BatchData) -> list[str]:
    """Return what the batch holds, and what limits how far it can be trusted."""
    runs, failed = len(batch.done_runs) + len(batch.failed_runs), len(batch.failed_runs)
    planned = batch.facts["points"]
    most = batch.facts["sweep"].get("replications", 1)
    upto = "up to " if batch.facts["sweep"].get("until") else ""
    sentences = [
        f"{count_of(runs, 'run')} of {count_of(len(batch.policies), 'policy')}: "
        f"{count_of(planned, 'point')} with {upto}{count_of(most, 'replication')}; "
        f"{f'{failed:,}' if failed else 'none'} failed."
    ]
    if failed and 0 < batch.finished_points < planned:
        lost = planned - batch.finished_points
        sentences.append(
            f"{lost:,} of the {planned:,} points have no run that ended well: not counted."
        )
    if batch.facts["status"] != "complete":
        sentences.append(
            f"The batch has not finished: this is what it had of {upto}{planned * most:,} runs."
        )
    if len(batch.points) and batch.most_replications < 2:
        sentences.append(
            "Every point has a single replication: there are no intervals, and how much of a "
            "difference is chance cannot be said."
        )
    elif not batch.facts.get("random", True):
        sentences.append("Nothing in the scenario is random: its replications are all the same.")
    elif 2 <= batch.most_replications < _FEW:
        sentences.append(
            f"With fewer than {_FEW} replications intervals are very wide; more would tell."
        )
    return sentences


def _first(batch: BatchData, best: RankingEntry, others: Sequence[RankingEntry]) -> str:
    points, sla = batch.finished_points, f"the SLA ({_sla(batch)})"
    alike = sum(s.points == best.points for s in others if s.failed_runs <= best.failed_runs)
    by = "at the least cost" if batch.deciding == COST else "with the least over-provisioning"
    least = by if alike else ""
    full = any(s.points > best.points for s in others)
    none = "No policy that made no run fail" if full else "No policy"
    ended = " with a finished run" if points < batch.facts["points"] else ""
    if best.points == points:
        only = "Only " if others and all(s.points < points for s in others) else ""
        every = "both" if points == 2 else f"all {points:,}"
        where = "" if points == 1 else f"at {every} points"
        tied = _tied(batch, best, others)
        if tied:
            sure = f"and cannot be told apart by {_basis(batch)}"
            parts = [f"{best.name} and {tied} keep {sla}", f"{where}{ended}".strip(), sure]
            return f"{' '.join(part for part in parts if part)}: {best.name} {_held(batch, best)}."
        parts = [f"{only}{best.name} keeps {sla}", f"{where}{ended}".strip(), least]
    elif best.points:
        parts = [
            f"{none} keeps {sla} at all {points:,} points{ended};",
            f"{best.name} keeps it at most of them, {best.points:,}{', ' * bool(least)}{least}",
        ]
    else:
        parts = [
            f"{none} keeps {sla}{' at any point' * (points > 1)};",
            f"{best.name} comes closest, its worst link violating {best.burn:.3g} times as much as "
            "that allows",
        ]
    return f"{' '.join(part for part in parts if part)}: it {_held(batch, best)}."


def _tied(batch: BatchData, best: RankingEntry, others: Sequence[RankingEntry]) -> str:
    """Return who is next, if it keeps the SLA as often and the difference may be chance."""
    near = next(iter(others), None)
    if near is None or near.points < best.points or near.failed_runs > best.failed_runs:
        return ""
    return near.name if differ(batch, batch.deciding, near.index, best.index) is False else ""


def _basis(batch: BatchData) -> str:
    return "cost" if batch.deciding == COST else "over-provisioning"


def _points(batch: BatchData) -> str:
    """Say at how many points each policy is the best."""
    names = batch.best["policy"]
    if len(names) < 2 or names.nunique() < 2:
        return ""
    counts = names.value_counts()
    parts = [
        f"{name or 'none that keeps the SLA'} at {counts[name]:,}"
        for name in sorted(counts.index, key=lambda name: (-counts[name], name))
    ]
    return f"Point by point the best is {', '.join(parts)} (see the table of best policies)."


def _broken(best: RankingEntry, others: Sequence[RankingEntry]) -> str:
    if best.failed_runs:
        return f"But {count_of(best.failed_runs, 'run')} failed because of it, and are not counted."
    causes = [
        f"{s.name} made {count_of(s.failed_runs, 'run')} fail" for s in others if s.failed_runs
    ]
    return f"{some(causes)}, and comes after all that made none." if causes else ""


def _held(batch: BatchData, best: RankingEntry) -> str:
    over, rate = batch.mean(OVER), batch.mean(RATE)
    means = [
        interval(metric(name), mean.mean[best.index], mean.half_width[best.index])
        for name, mean in ((OVER, over), (RATE, rate))
    ]
    held = f"holds {means[0]} % of demand too much and is short in {means[1]} % of intervals"
    if batch.deciding == COST:
        cost = batch.mean(COST)
        sums = interval(metric(COST), cost.mean[best.index], cost.half_width[best.index])
        held = f"costs {sums}, {held}"
    runs = len(batch.points)
    return (
        held
        if best.runs == runs
        else f"{held}, and keeps the SLA in {best.runs:,} of {runs:,} runs"
    )


def _sla(batch: BatchData) -> str:
    if any(key.split(".")[0] == "sla" for key in batch.keys):
        return "its terms differ between points; on every link"
    target = 100 * float(batch.facts.get("sla_target", 0))
    return f"unserved demand in at most {target:.3g} % of the intervals of every link"


def _against(batch: BatchData, best: RankingEntry) -> str:
    """Compare the best with the first policy, the reference of all differences."""
    if best.index == 0:
        return ""
    parts = []
    for name, subject in (
        (OVER, f"the over-provisioning of {best.name}"), (RATE, "its share of violated intervals"),
    ):  # fmt: skip
        apart = batch.difference(name)
        mean, width = apart.mean[best.index], apart.half_width[best.index]
        sure = differ(batch, name, best.index, 0)
        chance = ", which may be chance" if sure is False else ""
        size = interval(metric(name), abs(mean), width)
        parts.append(f"{subject} is {size} points {'higher' if mean > 0 else 'lower'}{chance}")
    return f"Against {batch.policies[0]}, on the same demand, {' and '.join(parts)}."


def _second(batch: BatchData, best: RankingEntry, others: Sequence[RankingEntry]) -> str:
    """Say how sure the lead of the best over the next policy is."""
    if not others:
        return ""
    near = others[0]
    if near.failed_runs and not best.failed_runs:
        return ""
    if best.points and _tied(batch, best, others):
        return _chance(batch, near, best)
    if near.points < best.points:
        points = count_of(near.points, "point") if near.points else "none"
        over = metric(OVER).text(near.over)
        return f"{near.name}, which comes next, keeps it at {points} and holds {over} % too much."
    name, basis = (
        (batch.deciding, _basis(batch)) if best.points else (BURN, "how far they miss the SLA")
    )
    apart = differ(batch, name, near.index, best.index)
    by = f"That {near.name} comes only second rests on {basis}"
    if apart is None:
        return ""
    if apart:
        return f"{by}; the difference is larger than chance explains."
    return f"{by}; the difference may be chance: its 95 % interval includes 0."


def _chance(batch: BatchData, near: RankingEntry, best: RankingEntry) -> str:
    apart = batch.difference(batch.deciding, best.index)
    size = interval(
        metric(batch.deciding), abs(apart.mean[near.index]), apart.half_width[near.index]
    )
    more = "more" if apart.mean[near.index] > 0 else "less"
    return (
        f"{near.name} has {size} {more} {_basis(batch)} than {best.name}: the difference may be "
        "chance, its 95 % interval includes 0."
    )


def _sure(batch: BatchData, best: RankingEntry) -> str:
    sure = surely_kept(batch, best.index)
    if sure is None or not best.points or len(sure) >= best.points:
        return ""
    return (
        f"With 95 % confidence {best.name} is within the SLA at {len(sure):,} of these "
        f"{count_of(best.points, 'point')}; at the others more replications would have to tell."
    )
