"""What a scenario says, checked against its trace: links, events and the replayed span."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from twin.core.errors import InputError, Loc, Problem, did_you_mean
from twin.core.printable import unfit
from twin.core.units import counted, format_duration
from twin.demand.extend import extension_note
from twin.demand.gaps import ArrayFeed, known
from twin.demand.growth import growth_problems
from twin.demand.trace import Trace
from twin.engine.links import LinkSpec, capacities, link_specs
from twin.engine.span import ReplaySpan
from twin.events.base import clashes
from twin.events.dates import in_replay
from twin.events.scope import Acted, Scope, unknown
from twin.routing.table import Routing
from twin.scenario.spec import ScenarioSpec
from twin.topology.topology import Topology, capacities_of


def span_of(spec: ScenarioSpec, trace: Trace) -> ReplaySpan:
    """Return how the scenario cuts the trace. Raises InputError where it cannot."""
    # What was added to extend a trace is no past to learn from.
    history = int(spec.demand.train * (trace.measured or trace.samples))
    available = trace.samples - history
    if history < 1 or available < 1:
        what = f"leaves {history} samples of history and {available} to replay"
        raise InputError(Problem(what, ("demand", "train")))
    start, length = _replayed(spec, available)
    end = format_duration(available * spec.tick)
    trace_ends = f"after the history, but the trace ends {end} after it"
    if start >= available:
        what = f"the replay would start {format_duration(start * spec.tick)} {trace_ends}"
        raise InputError(Problem(what, ("replay", "start")))
    if start + length > available:
        ends = format_duration((start + length) * spec.tick)
        raise InputError(
            Problem(f"the replay would end {ends} {trace_ends}", ("replay", "duration"))
        )
    return ReplaySpan(history, history + start, length)


def scope_of(
    spec: ScenarioSpec,
    trace: Trace,
    routing: Routing | None,
    topology: Topology | None,
    policies: tuple[str, ...],
) -> Scope:
    """Return what events may name."""
    links = trace.links if routing is None else routing.links
    return Scope(links, trace.links, 0.0, spec.seed, "", topology, policies=policies)


def placed(spec: ScenarioSpec, trace: Trace, span: ReplaySpan) -> ScenarioSpec:
    """Return the scenario with its events at dates placed in the replay. Raises InputError."""
    events = in_replay(spec.events, trace.time(span.first), trace.timezone)
    return spec.model_copy(update={"events": events})


def _replayed(spec: ScenarioSpec, available: int) -> tuple[int, int]:
    """Return start and length of the replay in ticks. Raises InputError for both at once."""
    stated = {"start": spec.replay.start, "duration": spec.replay.duration}
    ticks: dict[str, int | None] = {}
    problems: list[Problem] = []
    for key, seconds in stated.items():
        try:
            ticks[key] = (
                None if seconds is None else whole_ticks(seconds, spec.tick, ("replay", key))
            )
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    start, length = ticks["start"] or 0, ticks["duration"]
    return start, available - start if length is None else length


def whole_ticks(seconds: float, tick_s: float, where: Loc) -> int:
    """Return a duration in ticks. Raises InputError where it is no whole number of them."""
    if seconds % tick_s:
        what = f"must be a multiple of the tick, {format_duration(tick_s)}"
        raise InputError(Problem(what, where))
    return int(seconds // tick_s)


def link_problems(
    spec: ScenarioSpec, scope: Scope, blamed: Callable[[Loc, Loc, str], Loc]
) -> Iterator[Problem]:
    """Yield what is wrong with the links and other things that are named, and with names of events.

    `scope` says what there is; `blamed` which of two places that contradict each other is wrong.
    """
    links, flows = scope.links, scope.flows
    for link in ("all", "defaults"):
        if link in links:
            what = f"a link cannot be called '{link}'"
            yield Problem(what, ("demand",), suggestion="rename it in the trace")
    for link in dict.fromkeys([*links, *flows]):
        if why := unfit(link):
            what = f"the name of link '{link}' {why}"
            yield Problem(what, ("demand",), suggestion="rename it in the trace")
    for link in spec.links:
        if link != "defaults" and link not in links:
            yield _no_link(link, "links", scope, ("links", link))
    yield from growth_problems(spec.demand.growth or {}, flows or links)
    defaults = spec.links.get("defaults", LinkSpec())
    for link, stated in spec.links.items():
        if link != "defaults" and (contradiction := stated.over(defaults).contradiction()):
            what, remedy = contradiction
            keys = [key for key in ("max", "step", "min") if key in stated.model_fields_set]
            place: Loc = ("links", link, *keys[:1])
            yield Problem(f"beside 'defaults', {what}", place, suggestion=remedy)
        if stated.upgrade is not None and stated.upgrade.over % spec.tick:
            what = f"must be a multiple of the tick, {format_duration(spec.tick)}"
            yield Problem(what, ("links", link, "upgrade", "over"))
    names: dict[str, int] = {}
    for i, event in enumerate(spec.events):
        for key, kind, targets in event.names():
            for name in unknown(scope.known(kind), targets):
                yield _not_there(name, kind, scope, ("events", i, key))
        if event.name is not None and event.name in names:
            where = blamed(("events", names[event.name]), ("events", i), "name")
            where = where if where[-1] == "name" else (*where, "name")
            yield Problem(f"a second event is called '{event.name}'", where)
        elif event.name is not None:
            names[event.name] = i


def warnings(
    spec: ScenarioSpec,
    trace: Trace,
    links: tuple[str, ...],
    span: ReplaySpan,
    topology: Topology | None = None,
) -> Iterator[str]:
    """Yield what may be meant, but changes what a run says."""
    if topology is not None:
        yield from (f"{topology.origin}: {note}" for note in topology.notes)
    yield from _of_the_future(spec, trace, span)
    replayed = span.horizon(int(spec.tick))
    if spec.telemetry is not None and not span.endless:
        yield "'telemetry' is for 'twin serve': a replay leaves it out"
    if not span.endless and span.intervals < 2:
        yield f"the replay is a single interval of {format_duration(spec.tick)}"
    settings = link_specs(spec.links, links)
    leads = [link.lead_time.low for link in settings if link.lead_time.low >= replayed]
    if leads:
        times = " to ".join(format_duration(lead) for lead in sorted({min(leads), max(leads)}))
        yield (
            f"a lead time of {times} on {counted(len(leads), 'link')} is as long as the replay "
            f"({format_duration(replayed)}) or longer: there, only the first decision takes effect"
        )


def _of_the_future(spec: ScenarioSpec, trace: Trace, span: ReplaySpan) -> Iterator[str]:
    """Yield what a run makes of growth, of an extended trace and of upgrades."""
    stop = span.first + span.intervals
    if note := extension_note(trace, spec.demand, span.first, stop):
        yield note
    elif spec.demand.growth and spec.demand.extend is None:
        yield (
            "'demand.growth' changes no measured demand: it is for 'twin outlook' and for "
            "'demand.extend'"
        )
    upgrades = [link.upgrade for link in spec.links.values() if link.upgrade is not None]
    if any(upgrade.of == "busy_hour" for upgrade in upgrades):
        yield "'links.*.upgrade' by busy_hour is for 'twin outlook': a replay leaves it out"


def with_files(spec: ScenarioSpec, folder: Path) -> ScenarioSpec:
    """Return a scenario with what its events name in files. Raises InputError."""
    events = tuple(event.read(folder) for event in spec.events)
    return spec.model_copy(update={"events": events})


def event_problems(spec: ScenarioSpec, span: ReplaySpan, scope: Scope) -> Iterator[Problem]:
    """Yield which events cannot happen in the network, of those that name only what is there."""
    stated = link_specs(spec.links, scope.links, capacities_of(scope.topology))
    scope = replace(scope, horizon=span.horizon(int(spec.tick)), capacity=capacities(stated))
    for i, event in enumerate(spec.events):
        if any([*unknown(scope.known(kind), targets)] for _, kind, targets in event.names()):
            continue
        for key, what, remedy in event.refusals(scope):
            yield Problem(what, ("events", i, *((key,) if key else ())), suggestion=remedy)


def _not_there(name: str, kind: Acted, scope: Scope, where: Loc) -> Problem:
    known = scope.known(kind)
    if kind in ("links", "flows"):
        return _no_link(name, kind, scope, where)
    word = {"sites": "site", "groups": "risk group", "policies": "policy"}[kind]
    if scope.topology is None and kind != "policies":
        return Problem(f"needs a 'topology' to know the {word} '{name}'", where)
    hint = did_you_mean(name, known)
    if not hint:
        hint = f"there are: {', '.join(known[:8])}" if known else "state 'risk_groups'"
    return Problem(f"there is no {word} '{name}'", where, suggestion=hint)


def _no_link(name: str, kind: Acted, scope: Scope, where: Loc) -> Problem:
    """Return the problem of a link, or of a flow, that is not there."""
    known = scope.known(kind)
    word = "flow" if kind == "flows" and scope.routed else "link"
    there = "trace" if scope.topology is None else "topology" if word == "link" else "matrix"
    what = f"the {there} has no {word} '{name}'"
    if name == "all":
        return Problem(what, where, suggestion="write 'links: all'")
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    hint = did_you_mean(name, known) or f"{word}s: {shown}"
    return Problem(what, where, suggestion=hint)


def without_history(trace: Trace, history: int) -> tuple[str, ...]:
    """Return the links of which nothing is known when the first `history` samples have closed."""
    past = known(ArrayFeed(trace.kpis, trace.gaps), "internet", history)
    return tuple(np.asarray(trace.links)[~np.isfinite(past).any(axis=0)].tolist())


def span_problems(
    spec: ScenarioSpec, trace: Trace, span: ReplaySpan, silent: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield what is wrong with the history, and with when events happen.

    `silent` are the links :func:`without_history`.
    """
    for link in silent:
        yield Problem(f"link '{link}' has no sample in the history", ("demand",))
    end = span.horizon(int(spec.tick))
    for i, event in enumerate(spec.events):
        if event.start is None:
            what = "'now' is for events that are added to a running simulation"
            yield Problem(what, ("events", i, "start"), suggestion="write a time, such as '6h'")
        elif event.begins >= end:
            what = f"is after the end of the replay, {format_duration(end)}"
            yield Problem(what, ("events", i, "start"))
    places = {id(event): i for i, event in enumerate(spec.events)}
    reported: set[tuple[int, str]] = set()
    for i, _, earlier, what in clashes(spec.events, trace.links):
        if (i, what) not in reported:
            yield Problem(f"{what} events.{places[id(earlier)]}", ("events", i))
        reported.add((i, what))
