"""Measures one method in a process of its own, and prints what it cost as JSON.

Called as ``python -m twin.studies.reproduction.probe KIND FILE`` with KIND ``policy`` or ``model``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from twin.demand.gaps import ArrayFeed
from twin.demand.trace import KPIS

_SAMPLES: Final = 8 * 288
"""Samples of made-up history: eight days, so that a season of a week can be found in it."""
_REPEATS: Final = {1: 41, 1000: 5}
"""Number of links: how many ticks are timed, after one that is not."""

Tick = Callable[[], object]


def main(kind: str, file: str) -> None:
    """Print the peak memory in MB (2**20 bytes), and the median latency of a tick in ms."""
    found = {}
    for links, repeats in _REPEATS.items():
        make = (_policy if kind == "policy" else _model)(Path(file), links)
        make()()
        found[f"latency_{links}_ms"] = 1e3 * median(_seconds(make()) for _ in range(repeats))
        found[f"peak_{links}_mb"] = _peak_mb()
    print(json.dumps(found))


def _seconds(tick: Tick) -> float:
    begin = time.perf_counter()
    tick()
    return time.perf_counter() - begin


def _kpis(links: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    daily = 500 + 400 * np.sin(np.arange(_SAMPLES) * 2 * np.pi / 288)[:, None]
    return {name: daily * rng.uniform(0.9, 1.1, (_SAMPLES, links)) for name in KPIS}


def _policy(file: Path, links: int) -> Callable[[], Tick]:
    from twin.demand.trace import Trace
    from twin.engine.engine import Engine
    from twin.engine.lane import Lane
    from twin.engine.links import LinkSpec
    from twin.engine.span import ReplaySpan
    from twin.forecast.library import ModelLibrary
    from twin.policy.base import Observation
    from twin.policy.load import load
    from twin.telemetry.source import ReplaySource

    kpis, names = _kpis(links), tuple(map(str, range(links)))
    policy, history = load(file).policy(), _SAMPLES - 1
    engine = Engine(
        ReplaySource(Trace(names, kpis, 300)),
        ReplaySpan(history, history, 1),
        [Lane("static", policy, (), 1)],
        [LinkSpec()] * links,
        ModelLibrary(None, tuple(kpis), history),
    )
    engine.start()
    # A static policy looks at nothing that it is shown.
    observation = Observation(0, np.zeros(links, dtype=np.bool_), names, 300, tuple(kpis), history)
    return lambda: lambda: policy.allocate(observation)


def _model(file: Path, links: int) -> Callable[[], Tick]:
    from twin.forecast.forecaster import Forecaster

    forecaster = Forecaster.load(file, threads=1)
    last = _SAMPLES - 1
    # What is fitted is fitted here, once a run; a tick makes the windows and runs the graph, on
    # every link: the most that it can cost.
    bound = forecaster.bind(ArrayFeed(_kpis(links)), last, last, stop=last + 1, trial=False)

    def make() -> Tick:
        # A copy has not forecast yet: it does the work of a tick, rather than remember it.
        fresh = deepcopy(bound)
        return lambda: fresh.at(last)

    return make


def _peak_mb() -> float:
    """Return the peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    # Unlike the above, this counts what the parent held when it started this process.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
