"""The conformance test of a policy: small worlds, and what must hold in any."""

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
from twin.demand.trace import KPIS
from twin.policy.base import PERSISTENCE
from twin.policy.load import load
from twin.studies.conformance.report import Check, Report, Status
from twin.studies.conformance.trial import Bench, Trial
from twin.studies.conformance.worlds import World, five_links, worlds

_FACTOR: Final = 1024.0
"""A change of unit that is exact in floating point."""
_CLOSE: Final = 1e-6
"""Relative difference that is put down to rounding."""
_SLOW_S: Final = 0.01
_YEAR: Final = 365 * 288


def check(path: Path) -> Report:
    """Try the policy of the file at `path`, with its defaults, and report on every check.

    Raises InputError where the file or a model that it announces cannot be loaded.
    """
    bench = Bench(load(path))
    scenario = bench.scenario(five_links())
    # A parameter without a default, or with a wrong one, ends here; so does an unknown model.
    for model in bench.source.models(scenario.policies[0].make(), KPIS):
        if model != PERSISTENCE:
            scenario.forecaster(model)
    checks = (_written(bench), _parameters(bench), *_worlds(bench), *_laws(bench))
    return Report(bench.source.name, path, checks)


def _written(bench: Bench) -> Check:
    """Check what `twin list` prints, and what the file imports."""
    name = "docstring and imports"
    if not bench.source.summary:
        return Check(name, Status.WARNING, "no docstring; its first line is shown by 'twin list'")
    outside = sorted(set(_imports(bench.source.path)) - {"twin", "numpy", *sys.stdlib_module_names})
    if outside:
        told = f"imports {', '.join(outside)}; keep to twin, NumPy and the standard library"
        return Check(name, Status.WARNING, told)
    return Check(name, Status.OK)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").split(".")[0]


def _parameters(bench: Bench) -> Check:
    model = bench.source.policy.parameters()
    values = model().model_dump(mode="json")
    shown = ", ".join(f"{name}={value}" for name, value in values.items())
    try:
        bench.source.policy(no_such_parameter=1)
    except Exception:
        return Check("parameters", Status.OK, shown or "none")
    told = "takes a parameter that it does not have; let __init__ call super().__init__"
    return Check("parameters", Status.FAILED, told)


def _worlds(bench: Bench) -> Iterator[Check]:
    """Yield a check for each world: a finite allocation of at least 0 for each link, always."""
    for world in worlds():
        yield _tried(world.name, world.hint, lambda w=world: _quiet(_replayed(bench, w)))  # type: ignore[misc]


def _laws(bench: Bench) -> Iterator[Check]:
    """Yield a check for each law that holds in any world."""
    laws: tuple[tuple[str, str, Callable[[Bench, World], tuple[Status, str]]], ...] = (
        ("the same twice", "seed what is random, keep nothing in the class", _twice),
        ("the input stays as it is", "copy an array before you change it", _untouched),
        ("no look into the future", "use what the observation shows", _blind),
        ("the order of links", "treat links alike, or tell them by name", _any_order),
        ("another unit of traffic", "", _any_unit),
        ("in a schedule", "keep what it learns in the instance, not in the class", _scheduled),
        ("traffic alone", "a trace need not carry the other KPIs", _traffic_alone),
        ("time per tick", "", _timed),
    )
    for name, hint, law in laws:
        yield _tried(name, hint, lambda law=law: law(bench, five_links()))  # type: ignore[misc]


def _tried(name: str, hint: str, call: Callable[[], tuple[Status, str]]) -> Check:
    try:
        status, told = call()
    except TwinError as error:
        status, told = Status.FAILED, str(error)
    if status is not Status.OK and hint:
        told = f"{told}; {hint}"
    return Check(name, status, " ".join(told.split()))


def _replayed(bench: Bench, world: World) -> Trial:
    return bench.replay(bench.scenario(world))


def _quiet(trial: Trial) -> tuple[Status, str]:
    return (Status.WARNING, trial.warnings[0]) if trial.warnings else (Status.OK, "")


def _twice(bench: Bench, world: World) -> tuple[Status, str]:
    return _same(_replayed(bench, world).requested, _replayed(bench, world).requested)


def _untouched(bench: Bench, world: World) -> tuple[Status, str]:
    if _replayed(bench, world).touched:
        return Status.FAILED, "changed the arrays that it was shown"
    return Status.OK, ""


def _blind(bench: Bench, world: World) -> tuple[Status, str]:
    """Change everything after some instants, and compare the decisions up to then."""
    if bench.source.policy.bound:
        return Status.OK, "it says that it sees the future: a bound, kept out of rankings"
    known = _replayed(bench, world).requested
    for seen in (0, 40, 77):
        future = world.demand.copy()
        future[world.first + seen :] = 3 * future[world.first + seen :][::-1] + 17
        other = _replayed(bench, replace(world, demand=future)).requested
        status, told = _same(known[: seen + 1], other[: seen + 1])
        if status is not Status.OK:
            told = f"{told} when only what comes after tick {seen} changed"
            return status, told + "; say `bound: ClassVar[bool] = True` of a bound"
    return Status.OK, ""


def _any_order(bench: Bench, world: World) -> tuple[Status, str]:
    order = (3, 0, 4, 2, 1)
    other = bench.replay(bench.scenario(world, order=order)).requested
    return _alike(_replayed(bench, world).requested[:, order], other)


def _any_unit(bench: Bench, world: World) -> tuple[Status, str]:
    larger = replace(world, demand=world.demand * _FACTOR)
    status, told = _alike(
        _replayed(bench, world).requested * _FACTOR, _replayed(bench, larger).requested
    )
    if status is Status.OK:
        return status, told
    what = "answers do not scale with the traffic: right only for numbers stated in Mbit/s"
    return Status.WARNING, what


def _scheduled(bench: Bench, world: World) -> tuple[Status, str]:
    other = bench.replay(bench.scenario(world, scheduled=True)).requested
    status, told = _same(_replayed(bench, world).requested, other)
    return status, told and f"{told} once two of it observe"


def _traffic_alone(bench: Bench, world: World) -> tuple[Status, str]:
    try:
        bench.replay(bench.scenario(world, kpis=("internet",)))
    except InputError as error:
        return Status.WARNING, str(error)
    return Status.OK, ""


def _timed(bench: Bench, world: World) -> tuple[Status, str]:
    seconds = _replayed(bench, world).tick_s
    told = f"{1000 * seconds:.3g} ms on {len(world.links)} links"
    if seconds < _SLOW_S:
        return Status.OK, told
    return Status.WARNING, f"{told}; a year would take {seconds * _YEAR / 60:.0f} minutes"


def _same(expected: Floats, answer: Floats) -> tuple[Status, str]:
    return _compared(expected, answer, expected == answer)


def _alike(expected: Floats, answer: Floats) -> tuple[Status, str]:
    close = np.isclose(expected, answer, rtol=_CLOSE, atol=_CLOSE * np.abs(expected).max())
    return _compared(expected, answer, close)


def _compared(expected: Floats, answer: Floats, same: NDArray[np.bool_]) -> tuple[Status, str]:
    if same.all():
        return Status.OK, ""
    tick, link = np.argwhere(~same)[0]
    was, now = float(expected[tick, link]), float(answer[tick, link])
    return Status.FAILED, f"tick {tick}, link {link + 1}: {now} and not {was}"
