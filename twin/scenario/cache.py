"""What scenarios have read, kept for the next one that names the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from twin.core import content
from twin.core.errors import Loc
from twin.core.recent import Recent
from twin.demand.read import read as read_trace
from twin.demand.spec import DemandSpec
from twin.demand.trace import Trace
from twin.forecast.forecaster import Forecaster
from twin.policy.load import PolicySource, unloaded
from twin.policy.load import load as load_policy
from twin.scenario.checks import without_history
from twin.topology.read import read_topology
from twin.topology.spec import TopologySpec
from twin.topology.topology import Topology

GENERATED = 4
"""Traces generated or estimated that are kept at a time: with many seeds each has its own."""


class Cache:
    """Traces, models and policies by what they were read from.

    Files are taken to stay as they are, so a cache serves one call and not a whole session.
    """

    def __init__(self, threads: int | None = None, *, run_policies: bool = True) -> None:
        """Keep models on `threads` cores each (default: all usable ones).

        Without `run_policies` no code of a policy is run that is not shipped.
        """
        self._threads, self._run_policies = threads, run_policies
        self.not_run: list[Path] = []
        """Files of policies whose code was not run."""
        self._read: dict[tuple[str, Path, int | None], Trace] = {}
        self._generated = Recent[tuple[str, int | None, int], Trace](GENERATED)
        self._silent = Recent[tuple[int, int], tuple[Trace, tuple[str, ...]]](GENERATED)
        self._widened = Recent[tuple[int, tuple[str, ...]], tuple[Trace, Trace]](GENERATED)
        self._derived = Recent[str, Trace](GENERATED)
        self._topologies: dict[tuple[str, Path], Topology] = {}
        self._models: dict[Path, Forecaster] = {}
        self._policies: dict[Path, PolicySource] = {}
        self._found: dict[tuple[content.Kind, str, Path | None], Path] = {}

    def trace(
        self,
        demand: DemandSpec,
        folder: Path,
        tick_s: int | None,
        seed: int,
        capacities: Mapping[str, float] = MappingProxyType({}),
    ) -> Trace:
        """Return the trace of a block `demand`, as :func:`twin.demand.read.read` does."""
        # What is stated counts too: a stated default may mean that nothing is to be found out.
        demand_json = demand.model_dump_json(exclude={"train"}, exclude_unset=True)
        if demand.source != "synthetic":
            known = capacities if demand.kind == "counter" else {}
            key = (f"{demand_json} {dict(known)}", folder, tick_s)
            if key not in self._read:
                self._read[key] = read_trace(demand, folder, tick_s, seed, known)
            return self._read[key]
        seeded_key = (demand_json, tick_s, seed)
        return self._generated.get(seeded_key, lambda: read_trace(demand, folder, tick_s, seed))

    def silent(self, trace: Trace, history: int) -> tuple[str, ...]:
        """Return the links that have no sample in the history."""
        key = (id(trace), history)
        # The trace is kept beside, since another could be given its id.
        return self._silent.get(key, lambda: (trace, without_history(trace, history)))[1]

    def with_flows(self, trace: Trace, names: tuple[str, ...]) -> Trace:
        """Return a trace with more flows, which carry nothing."""
        key = (id(trace), names)
        return self._widened.get(key, lambda: (trace, trace.with_flows(names)))[1]

    def derived(self, key: str, make: Callable[[], Trace]) -> Trace:
        """Return what `make` makes of other input, all of which `key` states."""
        return self._derived.get(key, make)

    def topology(
        self, spec: TopologySpec, folder: Path, groups: Mapping[str, Sequence[str]]
    ) -> Topology:
        """Return the topology of a scenario, as :func:`twin.topology.read.read_topology` does."""
        key = (f"{spec.model_dump_json()} {dict(groups)}", folder)
        if key not in self._topologies:
            self._topologies[key] = read_topology(spec, folder, groups)
        return self._topologies[key]

    def find(self, kind: content.Kind, text: str, folder: Path | None, where: Loc) -> Path:
        """Return the file that a name or a path stands for, as :func:`content.find` does."""
        key = (kind, text, folder)
        if key not in self._found:
            self._found[key] = content.find(kind, text, folder, where)
        return self._found[key]

    def model(self, text: str, folder: Path | None, where: Loc) -> Forecaster:
        """Return a model by name or path. Raises InputError where it cannot be used."""
        path = self.find("models", text, folder, where)
        if path not in self._models:
            self._models[path] = Forecaster.load(path, self._threads)
        return self._models[path]

    def policy(self, path: Path) -> PolicySource:
        """Return the policy at `path`. Raises InputError where it cannot be used."""
        if path not in self._policies:
            if self._run_policies or _is_shipped(path):
                self._policies[path] = load_policy(path)
            else:
                self._policies[path] = unloaded(path)
                self.not_run.append(path)
        return self._policies[path]


def _is_shipped(path: Path) -> bool:
    return path.resolve().parent == content.shipped_folder("policies").resolve()
