"""What a trace lacks: short gaps are interpolated, finer steps averaged, and both are reported."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats, Ints
from twin.core.units import counted, format_duration
from twin.demand.gaps import Gaps

LONGEST_S = 3600
"""Longest gap that is interpolated, seconds."""


def gaps(values: Floats) -> tuple[Ints, Ints, Ints]:
    """Return link, first sample and length of every run of NaN in `values` [samples, links]."""
    missing = np.isnan(values)
    lacking = np.flatnonzero(missing.any(axis=0))
    padded = np.zeros((len(lacking), len(values) + 2), bool)
    padded[:, 1:-1] = missing[:, lacking].T
    row, first = np.nonzero(padded[:, 1:] & ~padded[:, :-1])
    _, last = np.nonzero(padded[:, :-1] & ~padded[:, 1:])
    return lacking[row], first, last - first


def interpolate(values: Floats, step_s: float) -> tuple[Floats, Gaps, tuple[str, ...]]:
    """Return `values` [samples, links] with its short inner gaps filled linearly.

    With them come the gaps that were filled, and sentences that say what was done. A gap is short
    if its samples times `step_s` are at most an hour.
    """
    if not np.isnan(values.sum()):
        return values, Gaps.none(), ()
    link, first, length = gaps(values)
    inner = (first > 0) & (first + length < len(values))
    short = inner & (length * step_s <= LONGEST_S)
    filled = values.copy()
    lost, at, share = _members(first[short], length[short])
    before, after = first[short] - 1, first[short] + length[short]
    left, right = values[before, link[short]], values[after, link[short]]
    filled[lost, link[short][at]] = between(left[at], right[at], share)
    notes = (
        _sentence(length[short], "of up to 1h", "interpolated"),
        _sentence(length[inner & ~short], "longer than 1h", "left missing"),
        _sentence(length[~inner], "at an end of the trace", "left missing"),
    )
    return filled, Gaps.of(link[short], first[short], after, after), tuple(filter(None, notes))


def between(left: Floats, right: Floats, share: Floats) -> Floats:
    """Return what is interpolated at `share` of the way from `left` to `right`."""
    filled: Floats = left + (right - left) * share
    return filled


def in_ticks(gaps: Gaps, per_tick: int) -> Gaps:
    """Return gaps of samples as gaps of ticks of `per_tick` samples.

    A tick that a gap touches is known once the tick with the gap's far end is.
    """
    if per_tick == 1:
        return gaps
    first, seen = gaps.first // per_tick, gaps.seen // per_tick
    some = seen > first
    return Gaps.of(gaps.series[some], first[some], seen[some], seen[some])


def _members(first: Ints, length: Ints) -> tuple[Ints, Ints, Floats]:
    """Return the samples of all runs, the run of each, and how far it is across its gap."""
    run = np.repeat(np.arange(len(length)), length)
    within = np.arange(len(run)) - (np.cumsum(length) - length)[run]
    return first[run] + within, run, (within + 1) / (length[run] + 1)


def _sentence(lengths: NDArray[np.int64], which: str, outcome: str) -> str:
    if not len(lengths):
        return ""
    return f"{counted(len(lengths), 'gap')} {which} ({counted(lengths.sum(), 'sample')}) {outcome}"


def with_late(gaps: Gaps, late: Gaps | None) -> Gaps:
    """Return gaps together with samples that are `late` though they are no repair.

    A gap between samples of which the far one is late is known no sooner than that.
    """
    if late is None or not len(late):
        return gaps
    known = {
        (series, sample): seen
        for series, first, stop, seen in zip(
            *(each.tolist() for each in (late.series, late.first, late.stop, late.seen)),
            strict=True,
        )
        for sample in range(first, stop)
    }
    pairs = zip(gaps.series.tolist(), gaps.seen.tolist(), strict=True)
    seen = np.array([known.get(pair, pair[1]) for pair in pairs], np.int64)
    both = (
        (gaps.series, gaps.first, gaps.stop, seen),
        (late.series, late.first, late.stop, late.seen),
    )
    return Gaps.of(*(np.concatenate(pair) for pair in zip(*both, strict=True)))


def aggregated(values: Floats, per_tick: int, how: Literal["mean", "max", "p95"]) -> Floats:
    """Return the mean, the largest or the P95 of `per_tick` samples each, [ticks, links].

    NaN where a sample is missing. Samples after the last whole tick are left out.
    """
    ticks = len(values) // per_tick
    whole = values[: ticks * per_tick].reshape(ticks, per_tick, values.shape[1])
    if how == "mean":
        return np.ascontiguousarray(whole.mean(axis=1))
    if how == "max":
        return np.ascontiguousarray(whole.max(axis=1))
    return np.ascontiguousarray(np.percentile(whole, 95, axis=1))


_AGGREGATED = {"mean": "averaged to", "max": "as the largest of", "p95": "as the P95 of"}


def averaging_notes(
    samples: int, per_tick: int, step_s: float, tick_s: int, how: Literal["mean", "max", "p95"]
) -> tuple[str, ...]:
    """Return what :func:`aggregated` did, a sentence each."""
    if per_tick == 1:
        return ()
    step, tick = format_duration(step_s), format_duration(tick_s)
    averaged = f"samples of {step} {_AGGREGATED[how]} {tick}"
    rest = samples % per_tick
    if not rest:
        return (averaged,)
    return averaged, f"the incomplete last interval ({counted(rest, 'sample')}) dropped"
