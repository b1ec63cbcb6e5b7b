"""Where a living twin begins: on a trace, or anew on what it knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from twin.core.errors import InputError, Problem
from twin.core.units import format_duration
from twin.demand.trace import Trace
from twin.live.epoch import Epoch, Facts, epochs, write_epoch
from twin.live.journal import Record
from twin.live.moved import identity, living_scenario, moment_of, stored, unix_ms, zero_of
from twin.live.present import CARRIED, LivePresent, samples_record
from twin.scenario.load import Scenario
from twin.telemetry.source import head
from twin.telemetry.spec import TelemetrySpec


def first_epoch(
    scenario: Scenario, journal: Path, split: bool, begins: float | None
) -> tuple[Scenario, Epoch]:
    """Return a living scenario and its first epoch, which is on the disk. Raises InputError."""
    if scenario.spec.is_collected:
        return _begun(scenario, journal, *_nothing_known(scenario.trace, begins))
    trace = scenario.trace
    samples = scenario.span.first if split else trace.measured or trace.samples
    # Nobody sends samples of a flow that is not there yet.
    past = head(trace.measured_flows(), samples)
    # What is known of it at its end is all that it holds.
    past = replace(past, gaps={}, measured=None)
    zero = zero_of(trace)
    zero_ms = 0 if zero is None else unix_ms(zero)
    tick_ms = trace.tick_s * 1000
    if begins is not None:
        end_ms = zero_ms + samples * tick_ms
        late = int((begins * 1000 - end_ms) // tick_ms)
        if zero is None:
            # Nobody knows when the trace was measured: it ends now.
            zero_ms += late * tick_ms
        elif late > 0:
            past = _with_missing(scenario, past, late)
    return _begun(scenario, journal, past, zero_ms)


def _begun(scenario: Scenario, journal: Path, past: Trace, zero_ms: int) -> tuple[Scenario, Epoch]:
    live_ms = zero_ms + past.samples * past.tick_s * 1000
    begins = None if past.starts is None else moment_of(live_ms / 1000)
    base = living_scenario(scenario, past, begins)
    acting = base.policies[0].name
    facts = Facts(zero_ms, live_ms, 0, identity(base), acting, "the live began")
    epoch = Epoch.of(journal, 1, facts, past)
    write_epoch(epoch, stored(base))
    return base, epoch


def _nothing_known(trace: Trace, begins: float | None) -> tuple[Trace, int]:
    """Return a history of one sample, which is missing, and when it begins, ms since 1970.

    The live begins at the last tick before `begins`.
    """
    tick_ms = trace.tick_s * 1000
    zero_ms = (int((begins or 0.0) * 1000) // tick_ms - 1) * tick_ms
    kpis = {name: np.full((1, len(trace.links)), np.nan) for name in trace.kpis}
    return replace(trace, kpis=kpis, starts=moment_of(zero_ms / 1000)), zero_ms


def _with_missing(scenario: Scenario, past: Trace, samples: int) -> Trace:
    """Return a history with so many missing samples after it. Raises InputError for too many."""
    telemetry = scenario.spec.telemetry or TelemetrySpec()
    if samples * past.tick_s > telemetry.keep:
        since = format_duration(samples * past.tick_s)
        what = f"the trace ended {since} before now, and nothing is known of the time since"
        remedy = (
            "bring the trace up to date, or state a longer 'telemetry.keep'; to go on in the past, "
            "feed the trace itself (--speed 60), or send what came next (--clock data)"
        )
        raise InputError(scenario.place(Problem(what, ("demand",), suggestion=remedy)))
    gap = np.full((samples, len(past.links)), np.nan)
    kpis = {name: np.concatenate([values, gap]) for name, values in past.kpis.items()}
    return replace(past, kpis=kpis)


def next_epoch(
    base: Scenario, present: LivePresent, journal: Path, first: int, why: str, fitted: int = 0
) -> tuple[Epoch, Record]:
    """Return a new epoch on what is known from sample `first` on, and what it goes on from.

    Policies learn from the samples up to `fitted`, by default from all. It is not on the disk yet.
    """
    history = present.known(first)
    old = present.epoch.facts
    facts = Facts(
        old.live_ms + (present.interval - history.samples) * present.tick_s * 1000,
        old.live_ms,
        present.interval,
        identity(base),
        present.acting,
        why,
        dict(present.counts),
        present.to_come(),
        fitted - first if fitted else None,
    )
    carried = Record(CARRIED, samples_record(present.assembler.carried(), {}))
    return Epoch.of(journal, int(epochs(journal)[-1].name) + 1, facts, history), carried
