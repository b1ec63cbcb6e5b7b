"""The conformance test of a policy: scenarios that it must survive, and laws that always hold."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.core.errors import InputError, TwinError
from twin.demand.kpis import KPIS
from twin.forecast.names import files
from twin.policy.base import is_bound
from twin.policy.load import load
from twin.studies.conformance.harness import ConformanceRun, Harness
from twin.studies.conformance.report import Check, ConformanceReport, Status
from twin.studies.conformance.scenarios import ConformanceScenario, five_links, scenarios

_FACTOR: Final = 1024.0
"""A change of unit that is exact in floating point."""
_CLOSE: Final = 1e-6
"""Relative difference that is put down to rounding."""
_SLOW_S: Final = 0.01
"""Longest mean time of a decision that draws no warning, seconds."""
_YEAR: Final = 365 * 288
"""Ticks in a year, at five minutes."""

Law = Callable[[Harness, ConformanceScenario], tuple[Status, str]]
"""Runs a policy on a test scenario; returns the outcome and what to say of it."""


def check(path: Path) -> ConformanceReport:
    """Test the policy of the file at `path`, with its defaults; return the outcome of every check.

    Raises InputError where the file or a model that it announces cannot be loaded.
    """
    harness = Harness(load(path))
    scenario = harness.scenario(five_links())
    # A parameter without a default, or with a wrong one, ends here; so does an unknown model.
    for model in harness.source.models(scenario.policies[0].make(), KPIS):
        for name in files(model, KPIS):
            scenario.forecaster(name)
    checks = (
        _check_source(harness),
        _check_parameters(harness),
        *_check_scenarios(harness),
        *_check_laws(harness),
    )
    return ConformanceReport(harness.source.name, path, checks)


def _check_source(harness: Harness) -> Check:
    """Check what `twin list` prints, and what the file imports."""
    name = "docstring and imports"
    if not harness.source.summary:
        return Check(name, Status.WARNING, "no docstring; its first line is shown by 'twin list'")
    imported = set(_imports(harness.source.path))
    outside = sorted(imported - {"twin", "numpy", *sys.stdlib_module_names})
    if outside:
        message = f"imports {', '.join(outside)}; keep to twin, NumPy and the standard library"
        return Check(name, Status.WARNING, message)
    inside = sorted(set(_reaching_in(harness.source.path)))
    if inside:
        message = f"uses {', '.join(inside)}, which reach what a policy is not shown"
        return Check(name, Status.WARNING, f"{message}; keep to 'import twin' and 'from twin'")
    return Check(name, Status.OK)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").split(".")[0]


_REACHING: Final = frozenset({"ctypes", "gc", "inspect", "_getframe", "__subclasses__"})
"""Modules and names with which code finds objects that it was not given."""


def _reaching_in(path: Path) -> Iterator[str]:
    """Yield what a file uses to get at the insides of the twin, or of other objects."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        yield from (name for name in names if name in _REACHING or name.startswith("twin."))


def _check_parameters(harness: Harness) -> Check:
    model = harness.source.policy.parameters()
    values = model().model_dump(mode="json")
    shown = ", ".join(f"{name}={value}" for name, value in values.items())
    try:
        harness.source.policy(no_such_parameter=1)
    except Exception:
        return Check("parameters", Status.OK, shown or "none")
    message = "takes a parameter that it does not have; let __init__ call super().__init__"
    return Check("parameters", Status.FAILED, message)


def _check_scenarios(harness: Harness) -> Iterator[Check]:
    """Yield a check for each test scenario: every allocation is finite and at least 0."""
    for case in scenarios():
        check = _checked(case.name, case.hint, lambda c=case: _warned(_replayed(harness, c)))  # type: ignore[misc]
        if check.status is Status.FAILED and not case.decisive and "asked for nan" in check.finding:
            check = replace(check, status=Status.WARNING)
        yield check


def _check_laws(harness: Harness) -> Iterator[Check]:
    """Yield a check for each law that holds in any scenario."""
    laws: tuple[tuple[str, str, Law], ...] = (
        ("the same twice", "seed what is random, keep nothing in the class", _same_twice),
        ("the input stays as it is", "copy an array before you change it", _input_unchanged),
        ("no look into the future", "use what the observation shows", _no_look_ahead),
        ("the order of links", "treat links alike, or tell them by name", _any_order),
        ("another unit of traffic", "", _any_unit),
        ("in a schedule", "keep what it learns in the instance, not in the class", _in_a_schedule),
        ("traffic alone", "a trace need not carry the other KPIs", _traffic_alone),
        ("time per tick", "", _time_per_tick),
    )
    for name, hint, law in laws:
        yield _checked(name, hint, lambda law=law: law(harness, five_links()))  # type: ignore[misc]


def _checked(name: str, hint: str, call: Callable[[], tuple[Status, str]]) -> Check:
    """Return the outcome of `call` as a check; an error that the twin raises is a failure."""
    try:
        status, finding = call()
    except TwinError as error:
        status, finding = Status.FAILED, str(error)
    return Check(name, status, " ".join(finding.split()), "" if status is Status.OK else hint)


def _replayed(harness: Harness, case: ConformanceScenario) -> ConformanceRun:
    return harness.replay(harness.scenario(case))


def _warned(run: ConformanceRun) -> tuple[Status, str]:
    return (Status.WARNING, run.warnings[0]) if run.warnings else (Status.OK, "")


def _same_twice(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    return _same(_replayed(harness, case).requested, _replayed(harness, case).requested)


def _input_unchanged(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    if _replayed(harness, case).input_changed:
        return Status.FAILED, "changed the arrays that it was shown"
    return Status.OK, ""


def _no_look_ahead(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    """Change everything after some instants, and compare the decisions up to then."""
    if is_bound(harness.source.policy):
        return Status.OK, "it says that it sees the future: a bound, kept out of rankings"
    known = _replayed(harness, case).requested
    for seen in (0, 40, 77):
        future = case.demand.copy()
        future[case.first + seen :] = 3 * future[case.first + seen :][::-1] + 17
        other = _replayed(harness, replace(case, demand=future)).requested
        status, difference = _same(known[: seen + 1], other[: seen + 1])
        if status is not Status.OK:
            message = f"{difference} when only what comes after tick {seen} changed"
            return status, message + "; say `bound: ClassVar[bool] = True` of a bound"
    return Status.OK, ""


def _any_order(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    order = (3, 0, 4, 2, 1)
    other = harness.replay(harness.scenario(case, order=order)).requested
    return _alike(_replayed(harness, case).requested[:, order], other)


def _any_unit(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    larger = replace(case, demand=case.demand * _FACTOR)
    status, _ = _alike(
        _replayed(harness, case).requested * _FACTOR, _replayed(harness, larger).requested
    )
    if status is Status.OK:
        return status, ""
    detail = "answers do not scale with the traffic: right only for numbers stated in Mbit/s"
    return Status.WARNING, detail


def _in_a_schedule(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    other = harness.replay(harness.scenario(case, scheduled=True)).requested
    status, difference = _same(_replayed(harness, case).requested, other)
    return status, difference and f"{difference} once two of it observe"


def _traffic_alone(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    try:
        harness.replay(harness.scenario(case, kpis=("internet",)))
    except InputError as error:
        return Status.WARNING, str(error)
    return Status.OK, ""


def _time_per_tick(harness: Harness, case: ConformanceScenario) -> tuple[Status, str]:
    seconds = _replayed(harness, case).tick_s
    message = f"{1000 * seconds:.3g} ms on {len(case.links)} links"
    if seconds < _SLOW_S:
        return Status.OK, message
    return Status.WARNING, f"{message}; a year would take {seconds * _YEAR / 60:.0f} minutes"


def _same(expected: Floats, answer: Floats) -> tuple[Status, str]:
    """Compare two lists of decisions, Mbit/s, [intervals, links], bit by bit."""
    return _compared(expected, answer, expected == answer)


def _alike(expected: Floats, answer: Floats) -> tuple[Status, str]:
    """Compare two lists of decisions, Mbit/s, [intervals, links], up to rounding."""
    close = np.isclose(expected, answer, rtol=_CLOSE, atol=_CLOSE * np.abs(expected).max())
    return _compared(expected, answer, close)


def _compared(expected: Floats, answer: Floats, same: NDArray[np.bool_]) -> tuple[Status, str]:
    """Return the outcome, and the first decision that is not the same."""
    if same.all():
        return Status.OK, ""
    tick, link = np.argwhere(~same)[0]
    was, now = float(expected[tick, link]), float(answer[tick, link])
    return Status.FAILED, f"tick {tick}, link {link + 1}: {now} and not {was}"
