"""What identifies a run: a digest of everything that decides its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from twin.core import content
from twin.demand.spec import LIMITS
from twin.results.manifest import versions
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.load import Scenario
from twin.scenario.spec import ScenarioSpec

_LENGTH = 16
_KEPT = 10_000
"""Texts of blocks that are kept at a time."""
_SEED_STREAM = (0, 0)
"""The stream of the scenario's seed from which the seeds of replications are drawn."""
_SEED_BITS = 40
"""Short enough to be typed, long enough that ten thousand seeds differ."""


class PointDigests:
    """Digests of all that decides the results of scenarios, except their seed.

    Files count by their content: the trace, the models with their cards, the policies' source.
    The names of the scenario and of its files do not count, nor how long a run may take. What
    scenarios have in common, block by block, is turned into text once.
    """

    def __init__(self) -> None:
        self._versions = json.dumps(versions(), sort_keys=True)
        self._texts: dict[tuple[str, int], tuple[Any, str]] = {}

    def of(self, scenario: Scenario) -> str:
        """Return the digest of a scenario."""
        spec = scenario.spec
        written = {
            name: self._text(name, getattr(spec, name), partial(_block, spec, name))
            for name in type(spec).model_fields
            if name not in ("name", "seed", "policies", "fallback", "time_limit")
        }
        generated = spec.demand.source == "synthetic"
        chosen = partial(_chosen, scenario)
        facts = {
            "fallback": self._text("fallback", scenario.fallback, partial(_fallback, scenario)),
            "models": self._text("models", scenario.models, partial(_models, scenario)),
            "policies": self._text("policies", scenario.policies, chosen),
            "scenario": _object(written),
            "topology": json.dumps(None if scenario.topology is None else scenario.topology.digest),
            "trace": json.dumps(None if generated else scenario.trace.digest),
            "versions": self._versions,
        }
        return _digest(_object(facts))

    def _text(self, name: str, value: Any, facts: Callable[[], Any]) -> str:
        """Return the JSON of `facts`, which follow from `value`."""
        key = (name, id(value))
        if key not in self._texts:
            if len(self._texts) >= _KEPT:
                self._texts.clear()
            # The value is kept, so that no other object gets its id.
            self._texts[key] = (value, json.dumps(facts(), sort_keys=True))
        return self._texts[key][1]


def _object(texts: dict[str, str]) -> str:
    """Return a JSON object of values that are JSON already, as json.dumps writes it."""
    return "{" + ", ".join(f'"{name}": {texts[name]}' for name in sorted(texts)) + "}"


def _block(spec: ScenarioSpec, name: str) -> Any:
    block = spec.model_dump(mode="json", by_alias=True, include={name})[name]
    if name == "demand":
        for key in ("path", *LIMITS):
            block.pop(key)
        if block["matrix"] is not None:
            block["matrix"].pop("sites")
    return block


def _chosen(scenario: Scenario) -> Any:
    return [_choice(choice, scenario) for choice in scenario.policies]


def _models(scenario: Scenario) -> Any:
    return sorted(model_digest(scenario, name) for name in scenario.models)


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
