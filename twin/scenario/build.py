"""From a checked scenario to the engine that runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twin.core.errors import RunError
from twin.core.files import same_directory
from twin.core.units import format_duration
from twin.engine.deadline import TimeIsUp, within
from twin.engine.engine import Engine
from twin.engine.lane import Fallback, Lane
from twin.engine.links import LinkSpec, link_specs
from twin.engine.provisioning import LinkSettings, Provisioning
from twin.engine.recording import Recording
from twin.engine.upgrade import UpgradeSpec
from twin.events.upgrade import Upgrade
from twin.scenario.choices import PolicyChoice
from twin.scenario.load import Scenario
from twin.telemetry.source import ReplaySource
from twin.topology.topology import capacities_of


def engine_of(scenario: Scenario) -> Engine:
    """Return an engine that replays the scenario under all its policies, on one demand."""
    return Engine(**engine_arguments(scenario))


def engine_arguments(scenario: Scenario) -> dict[str, Any]:
    """Return what an engine of the scenario is made with."""
    spec = scenario.spec
    return {
        "source": scenario.given.source or ReplaySource(scenario.trace),
        "span": scenario.span,
        "lanes": [lane_of(scenario, choice) for choice in scenario.policies],
        "settings": settings_of(scenario),
        "models": scenario.library,
        "events": (*spec.events, *upgrades_of(scenario)),
        "routing": scenario.routing,
        "topology": scenario.topology,
        "detection_delay": 0.0 if spec.routing is None else spec.routing.detection_delay,
        "sla_target": spec.sla.target,
        "sla_period_s": spec.sla.period,
        "prices": None if spec.prices is None else spec.prices.of_interval(int(spec.tick)),
        "seed": spec.seed,
    }


@same_directory()
def simulate(scenario: Scenario, progress: Callable[[int, int], None] | None = None) -> Recording:
    """Replay the scenario under all its policies, on one demand.

    `progress` is called now and then with the intervals done and their number. Raises RunError
    where a policy fails and InputError where it asks for a model that cannot be used.
    """

    def replay() -> Recording:
        engine = engine_of(scenario)
        engine.advance(progress=progress)
        return engine.recording()

    limit = scenario.spec.time_limit
    if limit is None:
        return replay()
    try:
        return within(limit, replay)
    except TimeIsUp:
        raise RunError(
            f"the run took longer than its 'time_limit' of {format_duration(limit)}"
        ) from None


def settings_of(scenario: Scenario) -> list[LinkSpec]:
    """Return what the scenario states of each link."""
    return link_specs(scenario.spec.links, scenario.links, capacities_of(scenario.topology))


def upgrades_of(scenario: Scenario) -> list[Upgrade]:
    """Return what raises capacities as `links.*.upgrade` says; by `busy_hour` nothing does."""
    links: dict[UpgradeSpec, list[str]] = {}
    for name, stated in zip(scenario.links, settings_of(scenario), strict=True):
        limited, upgrade = stated.capacity_mbps is not None, stated.upgrade
        if limited and upgrade is not None and upgrade.of != "busy_hour":
            links.setdefault(upgrade, []).append(name)
    return [
        Upgrade(
            start="0s", links=names, at=spec.at, of=spec.of, over=format_duration(spec.over),
            step=spec.step, lead_time=format_duration(spec.lead_time), price=spec.price,
        )
        for spec, names in links.items()
    ]  # fmt: skip


def lane_of(scenario: Scenario, choice: PolicyChoice) -> Lane:
    """Return the lane of a policy, which has learnt nothing yet."""
    settings = LinkSettings.of(settings_of(scenario))
    provisioning = Provisioning(settings, scenario.links, scenario.spec.seed)
    return Lane(
        choice.name,
        choice.make(),
        [str(member.source.path) for member in choice.members],
        scenario.span.length,
        None if settings.trivial else provisioning,
        _fallback(scenario),
    )


def _fallback(scenario: Scenario) -> Fallback | None:
    spec, spare = scenario.spec.fallback, scenario.fallback
    if spec is None or spare is None:
        return None
    return Fallback(spare.name, spare.make(), spec.after, spec.time_limit)
