"""The scenario of a run or a study as YAML, with all that it left to defaults."""

from __future__ import annotations

from typing import Any

from twin.core.units import format_duration
from twin.demand.spec import OF_TABLES, OF_TRACES, SYNTHETIC_KEYS, TABLES
from twin.scenario.load import Scenario
from twin.scenario.network import topology_folder
from twin.scenario.source import write


def resolved_scenario(scenario: Scenario) -> str:
    """Return the scenario as YAML with every default written out and paths made absolute."""
    data = scenario.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    if scenario.given.trace is not None:
        data["demand"] = {"source": "python", "trace": scenario.trace.origin}
    else:
        _resolve_demand(scenario, data["demand"])
    network = scenario.spec.topology
    if network is not None and network.path is not None:
        folder = topology_folder(network, scenario.folder)
        data["topology"]["path"] = str((folder / network.path).resolve())
    # Keys that a link does not state are those of `defaults`, and stay unstated.
    data["links"] = {
        name: link.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        for name, link in scenario.spec.links.items()
    }
    data["policies"] = [_resolved_policy(scenario, i) for i in range(len(scenario.policies))]
    if scenario.fallback is not None:
        data["fallback"]["use"] = scenario.fallback.members[0].use
    return write(data)


def _resolve_demand(scenario: Scenario, demand: dict[str, Any]) -> None:
    """Make the paths of a block `demand` absolute, and remove keys of another source."""
    spec = scenario.spec
    others: tuple[str, ...] = () if demand["source"] == "synthetic" else SYNTHETIC_KEYS
    if spec.is_generated:
        others = ("facilities",)
    if spec.is_collected:
        others = (*others, *OF_TRACES)
    elif demand["source"] not in TABLES:
        others = (*others, *OF_TABLES)
    elif spec.demand.kind == "counter":
        others = (*others, "stamp")
    for key in others:
        demand.pop(key, None)
    if spec.demand.paths:
        paths = [str((scenario.folder / each).resolve()) for each in spec.demand.paths]
        demand["path"] = paths if isinstance(spec.demand.path, tuple) else paths[0]
    if "sites" in (matrix := demand.get("matrix", {})):
        matrix["sites"] = str((scenario.folder / matrix["sites"]).resolve())


def _resolved_policy(scenario: Scenario, index: int) -> dict[str, Any]:
    choice, kpis = scenario.policies[index], tuple(scenario.trace.kpis)
    members = [member.resolved(scenario.folder, kpis) for member in choice.members]
    if not choice.scheduled:
        return {"name": choice.name, **members[0]}
    tick_s = scenario.spec.tick
    entries = zip(choice.members, members, strict=True)
    schedule = [
        {"from": format_duration(member.first * tick_s), **resolved} for member, resolved in entries
    ]
    return {"name": choice.name, "schedule": schedule}
