"""What the runs of a batch share, in a form that travels to any process or machine.

A scenario is packed without its trace, models and policies' code, which names stand for. What the
names stand for is in the payload once, and a worker unpacks it once. Files travel as their content,
so that a worker needs no file system in common with the sender.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from twin.demand.trace import Trace
from twin.forecast.card import card_path
from twin.forecast.forecaster import Forecaster
from twin.policy.load import PolicySource
from twin.policy.load import load as load_policy
from twin.scenario.cache import Cache
from twin.scenario.load import Scenario
from twin.scenario.network import trace_of, with_new_flows

ResourceName = tuple[str, int]
"""Kind and number of a resource that a packed scenario names instead of containing it."""

THREADS: Final = 1
"""Threads of a model in a worker: there are as many workers as cores."""


class Payload:
    """The traces, models and policies that packed scenarios name."""

    def __init__(self) -> None:
        self._contents: dict[ResourceName, Any] = {}
        self._names: dict[int, tuple[Any, ResourceName]] = {}

    def pack(self, scenario: Scenario) -> bytes:
        """Return a scenario as bytes; what it shares with others goes into the payload instead."""
        stream = io.BytesIO()
        # A generated trace differs with the seed, and is generated where it is replayed.
        generated = scenario.spec.demand.source == "synthetic"
        placed = replace(scenario, path=scenario.path.resolve())
        _Packer(stream, self, scenario.trace if generated else None).dump(placed)
        return zlib.compress(stream.getvalue(), 1)

    def take(self, scenario: Scenario) -> None:
        """Take what a scenario shares with others: the payload is whole once it is sealed."""
        if scenario.spec.demand.source != "synthetic":
            self.name(scenario.trace)
        for model in scenario.models.values():
            self.name(model)
        for choice in (*scenario.policies, scenario.fallback):
            for member in () if choice is None else choice.members:
                self.name(member.source)

    def name(self, value: Trace | Forecaster | PolicySource) -> ResourceName:
        """Return the name of a shared resource."""
        if id(value) not in self._names:
            kind, content = _content(value)
            name = (kind, len(self._names))
            self._contents[name] = content
            # The value is kept, so that no other object gets its id.
            self._names[id(value)] = (value, name)
        return self._names[id(value)][1]

    def sealed(self) -> tuple[str, bytes]:
        """Return the digest of the payload and its bytes."""
        data = pickle.dumps(self._contents, protocol=pickle.HIGHEST_PROTOCOL)
        return hashlib.sha256(data).hexdigest(), data


class UnpackedPayload:
    """A payload on a worker: each resource is made once, when first asked for."""

    def __init__(self, data: bytes) -> None:
        self._contents: dict[ResourceName, Any] = pickle.loads(data)
        self._resources: dict[ResourceName, Any] = {}

    def scenario(self, packed: bytes) -> Scenario:
        """Return a packed scenario with its resources; a generated trace is missing still."""
        scenario: Scenario = _Unpacker(io.BytesIO(zlib.decompress(packed)), self.resource).load()
        return scenario

    def resource(self, name: ResourceName | None) -> Any:
        """Return the resource of a name; None for a generated trace."""
        if name is None:
            return None
        if name not in self._resources:
            self._resources[name] = self._make(name)
        return self._resources[name]

    def _make(self, name: ResourceName) -> Any:
        kind, content = name[0], self._contents[name]
        if kind == "trace":
            return Trace(*content)
        if kind == "policy":
            return load_policy(*content)
        file, model, card = content
        with tempfile.TemporaryDirectory(prefix="twin-model-") as folder:
            path = Path(folder) / file.name
            path.write_bytes(model)
            card_path(path).write_bytes(card)
            return replace(Forecaster.load(path, THREADS), path=file)


def seeded(scenario: Scenario, seed: int, cache: Cache) -> Scenario:
    """Return an unpacked scenario under a seed, with the trace that the seed generates."""
    spec = scenario.spec.model_copy(update={"seed": seed})
    if spec.demand.source != "synthetic":
        return replace(scenario, spec=spec)
    trace = trace_of(spec, scenario.topology, scenario.folder, cache)
    trace = with_new_flows(spec, trace, scenario.topology, cache)
    return replace(scenario, spec=spec, trace=trace)


class _Packer(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, payload: Payload, left_out: Trace | None) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._payload = payload
        self._left_out = left_out

    def persistent_id(self, value: Any) -> tuple[ResourceName | None] | None:
        if not isinstance(value, Trace | Forecaster | PolicySource):
            return None
        return (None,) if value is self._left_out else (self._payload.name(value),)


class _Unpacker(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, resource: Callable[[ResourceName | None], Any]) -> None:
        super().__init__(stream)
        self._resource = resource

    def persistent_load(self, reference: tuple[ResourceName | None]) -> Any:
        return self._resource(reference[0])


def _content(value: Trace | Forecaster | PolicySource) -> tuple[str, Any]:
    if isinstance(value, PolicySource):
        # The path is for messages, which are the same wherever the run is made.
        return "policy", (value.path.resolve(), value.code)
    if isinstance(value, Forecaster):
        card = card_path(value.path)
        return "model", (value.path, value.path.read_bytes(), card.read_bytes())
    return "trace", value.fields
