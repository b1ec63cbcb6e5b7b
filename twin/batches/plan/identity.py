"""What identifies a run: a digest of everything that decides its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from twin.core import content
from twin.demand.spec import LIMITS
from twin.results.manifest import versions
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.load import Scenario

_LENGTH = 16
_SEED_STREAM = (0, 0)
"""The stream of the scenario's seed from which the seeds of replications are drawn."""
_SEED_BITS = 40
"""Short enough to be typed, long enough that ten thousand seeds differ."""


def point_digest(scenario: Scenario) -> str:
    """Return the digest of all that decides the results of a scenario, except its seed.

    Files count by their content: the trace, the models with their cards, the policies' source.
    The names of the scenario and of its files do not count.
    """
    spec = scenario.spec.model_dump(mode="json", by_alias=True)
    for key in ("name", "seed", "policies", "fallback"):
        spec.pop(key)
    for key in ("path", *LIMITS):
        spec["demand"].pop(key)
    generated = scenario.spec.demand.source == "synthetic"
    facts = {
        "scenario": spec,
        "trace": None if generated else scenario.trace.digest,
        "policies": [_choice(choice, scenario) for choice in scenario.policies],
        "fallback": _fallback(scenario),
        "models": sorted(model_digest(scenario, name) for name in scenario.models),
        "versions": versions(),
    }
    return _digest(json.dumps(facts, sort_keys=True))


def run_id(point: str, seed: int) -> str:
    """Return the id of a run, from the digest of its point and its seed."""
    return _digest(f"{point} {seed}")


def seed_of(base: int, replication: int) -> int:
    """Return the seed of a replication; the first has the scenario's own."""
    if replication == 0:
        return base
    stream = np.random.SeedSequence(base, spawn_key=(*_SEED_STREAM, replication))
    return int(stream.generate_state(1, np.uint64)[0] >> np.uint64(64 - _SEED_BITS))


def model_digest(scenario: Scenario, name: str) -> str:
    """Return the digest of a model that the scenario names, with its card."""
    return _digest(scenario.models[name].card.model_dump_json())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _choice(choice: PolicyChoice, scenario: Scenario) -> dict[str, Any]:
    members = [_member(member, scenario) for member in choice.members]
    return {"name": choice.name, "members": members}


def _fallback(scenario: Scenario) -> Any:
    if scenario.fallback is None or scenario.spec.fallback is None:
        return None
    stated = scenario.spec.fallback.model_dump(mode="json", exclude={"use"})
    return stated | _choice(scenario.fallback, scenario)


def _member(member: Member, scenario: Scenario) -> dict[str, Any]:
    checked = member.source.policy.parameters()(**member.parameters)
    parameters = checked.model_dump(mode="json")
    return {
        "source": member.source.digest,
        "parameters": {name: _by_content(v, scenario) for name, v in parameters.items()},
        "first": member.first,
    }


def _by_content(value: Any, scenario: Scenario) -> Any:
    """Return a parameter in which a digest stands for the path of a model."""
    if isinstance(value, list):
        return [_by_content(item, scenario) for item in value]
    if isinstance(value, str) and value in scenario.models and content.is_path("models", value):
        return model_digest(scenario, value)
    return value
