"""`twin serve`: a living twin behind HTTP, until it is told to stop."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from twin.core.errors import InputError, Problem
from twin.core.printable import printable

if TYPE_CHECKING:
    from twin.live.http.loop import TwinLoop
    from twin.live.http.pulling import PullThread
    from twin.live.http.service import LiveService
    from twin.live.living import LivingTwin
    from twin.live.outputs import AllocationsFile, Webhook

_NEEDED: Final = ("httpx", "prometheus_client", "starlette", "uvicorn")
_LONGEST_DECISION_S: Final = 10.0
"""How long a policy may take where the scenario does not say; less where ticks are short."""


def serve(
    scenario: Annotated[str, typer.Argument(help="A path, or the name of a shipped scenario.")],
    host: Annotated[
        str, typer.Option(help="Where to listen; any other than loopback needs --tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What is kept; default state/NAME.")
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Lines NAME ROLE TOKEN: read, write or admin."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=100_000, metavar="N",
            help="Feed the replayed part of the trace, N times as fast as it was.",
        ),
    ] = None,
    clock: Annotated[
        str, typer.Option(metavar="wall|data", help="What says what time it is.")
    ] = "wall",
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Post every decision there.")
    ] = None,
    allocations: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the latest allocations there: .csv or .json."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the scenario."),
    ] = None,
) -> None:  # fmt: skip
    """Run beside the network: telemetry in; decisions, what-ifs and a dashboard out."""
    _check_extra()
    _check_clock(clock, speed)
    from twin.core.units import counted
    from twin.live.http.gate import is_loopback
    from twin.live.http.logs import log_to_stderr
    from twin.live.http.serve import Address, bound, url_of
    from twin.live.http.serve import serve as served
    from twin.live.http.service import LiveService
    from twin.live.http.tokens import ApiTokens

    if not is_loopback(host) and tokens is None:
        what = f"'{host}' can be reached by others, and without tokens they may do anything"
        remedy = "name a file of tokens with --tokens FILE, or listen on 127.0.0.1"
        raise InputError(Problem(what, "--host", suggestion=remedy))
    known = None if tokens is None else ApiTokens.read(tokens)
    outputs = _outputs(webhook, allocations)
    with closing(bound(Address(host, port))) as listening:
        log_to_stderr()
        loop = _loop(scenario, set_ or (), state, speed, clock)
        service = LiveService(loop, known)
        for output in outputs:
            service.add_output(output)
        links = f"{counted(len(loop.twin.links), 'link')}, {', '.join(loop.twin.policies)}"
        typer.echo(printable(f"{loop.twin.scenario.spec.name}: {links}; {loop.twin.acting} acts"))
        pulls = _pulls(loop, service) if speed is None else []
        try:
            served(loop, service, listening, lambda: typer.echo(f"Serving on {url_of(listening)}"))
        finally:
            for each in (*pulls, *outputs):
                each.close()
            loop.twin.close()
    typer.echo("Stopped; what came is kept.")


def _pulls(loop: TwinLoop, service: LiveService) -> list[PullThread]:
    """Return what asks Prometheus, where the scenario names one."""
    from twin.live.http.pulling import PullThread
    from twin.live.prometheus import PrometheusPull

    telemetry = loop.twin.scenario.spec.telemetry
    if telemetry is None or telemetry.prometheus is None:
        return []
    pull = PullThread(PrometheusPull(loop.twin.scenario), loop, _now_of(loop.twin))
    service.measures.add_counter(
        "twin_prometheus_queries", "Queries to Prometheus.", "outcome", lambda: pull.outcomes
    )
    return [pull]


def _check_extra() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        what = f"needs {', '.join(name.replace('_', '-') for name in missing)}"
        raise InputError(Problem(what, "twin serve", suggestion="pip install 'twin[live]'"))


def _check_clock(clock: str, speed: float | None) -> None:
    if clock not in ("wall", "data"):
        raise InputError(Problem(f"must be 'wall' or 'data', not '{clock}'", "--clock"))
    if speed is not None and clock == "data":
        what = "does not go with --speed, which has a clock of its own"
        raise InputError(Problem(what, "--clock"))


def _outputs(webhook: str | None, allocations: Path | None) -> list[AllocationsFile | Webhook]:
    from twin.live.outputs import AllocationsFile, Webhook

    outputs: list[AllocationsFile | Webhook] = []
    if allocations is not None:
        if not allocations.absolute().parent.is_dir():
            raise InputError(Problem("is in a folder that is not there", "--allocations"))
        outputs.append(AllocationsFile(allocations))
    if webhook is not None:
        outputs.append(Webhook(webhook))
    return outputs


def _loop(
    scenario: str, overrides: Sequence[str], state: Path | None, speed: float | None, clock: str
) -> TwinLoop:
    """Return the loop of a twin that goes on where its state ends. Raises InputError."""
    import time

    from twin.live.clock import DataClock, SpeedClock, TraceFeed, WallClock
    from twin.live.http.loop import TraceFeeder, TwinLoop
    from twin.live.living import LivingTwin
    from twin.scenario.given import Given, Overrides
    from twin.scenario.load import Scenario
    from twin.telemetry.spec import TelemetrySpec

    given = Given(living=True)
    checked = Scenario.load(scenario, Overrides(tuple(overrides)), given)
    if (limit := _decision_limit(checked)) is not None:
        checked = Scenario.load(scenario, Overrides(tuple(overrides), values=limit), given)
    if speed is not None and checked.spec.is_collected:
        what = "feeds the scenario's own trace, and it has none"
        raise InputError(Problem(what, "--speed", suggestion="send samples, or name a trace"))
    folder = state or Path("state") / checked.spec.name
    if speed is None:
        if clock == "wall":
            twin = LivingTwin.open(checked, folder, begins=time.time())
            return TwinLoop(twin, WallClock().now)
        if checked.spec.is_collected:
            what = "needs a history that says where the time of the data begins"
            raise InputError(Problem(what, "--clock data", suggestion="name a trace"))
        # The live begins where the trace ends.
        twin = LivingTwin.open(checked, folder)
        keep = float((checked.spec.telemetry or TelemetrySpec()).keep)
        # Links send one after the other: what is ahead of most waits for them.
        twin.ahead_s = keep
        data = DataClock(twin.flows, twin.tick_s, twin.heard_s(), keep)
        return TwinLoop(twin, data.now, see=data.see)
    # A trace without dates ends whenever it is fed.
    begins = time.time() if checked.trace.starts is None else None
    twin = LivingTwin.open(checked, folder, split=True, begins=begins)
    fed = SpeedClock(_now_of(twin), speed)
    feeder = TraceFeeder(TraceFeed.of(twin, checked))
    return TwinLoop(twin, fed.now, feeder, poll_s=min(0.25, twin.tick_s / speed / 20))


def _now_of(twin: LivingTwin) -> float:
    """Return when the interval that is under way begins."""
    return twin.begins_s + twin.interval * twin.tick_s


def _decision_limit(scenario: Any) -> tuple[tuple[str, Any], ...] | None:
    """Return what lets a policy that hangs cost one tick, where the scenario says nothing of it."""
    if scenario.spec.fallback is not None:
        return None
    limit = max(min(_LONGEST_DECISION_S, scenario.trace.tick_s / 4), 0.5)
    fallback = {"use": "rolling_max", "after": 12, "time_limit": f"{limit:g}s"}
    return (("fallback", fallback),)
