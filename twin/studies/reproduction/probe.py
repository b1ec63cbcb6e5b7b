"""Measures one method in a process of its own, and prints its cost as JSON.

Called as ``python -m twin.studies.reproduction.probe KIND FILE`` with KIND ``policy`` or ``model``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from twin.demand.gaps import ArrayFeed
from twin.demand.kpis import KPIS

_SAMPLES: Final = 8 * 288
"""Samples of the invented history: eight days, enough to find a weekly season in."""
_REPEATS: Final = {1: 41, 1000: 5}
"""How many ticks are timed for each number of links, after one that warms up."""
_STATUS: Final = Path("/proc/self/status")
"""Where Linux tells what this process uses."""

Tick = Callable[[], object]


def main(kind: str, file: str) -> None:
    """Print the peak memory in MB (2**20 bytes), and the median latency of a tick in ms."""
    measured = {}
    for links, repeats in _REPEATS.items():
        make = (_policy if kind == "policy" else _model)(Path(file), links)
        make()()
        measured[f"latency_{links}_ms"] = 1e3 * median(_seconds(make()) for _ in range(repeats))
        measured[f"peak_{links}_mb"] = _peak_mb()
    print(json.dumps(measured))


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
    from twin.policy.commitment import Commitment
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
    down, unlimited = np.zeros(links, dtype=np.bool_), np.full(links, np.inf)
    observation = Observation(
        0, down, names, 300, unlimited, Commitment.at_once(links), tuple(kpis), history
    )
    return lambda: lambda: policy.allocate(observation)


def _model(file: Path, links: int) -> Callable[[], Tick]:
    from twin.forecast.forecaster import Forecaster

    forecaster = Forecaster.load(file, threads=1)
    last = _SAMPLES - 1
    # Fitting happens once a run, so it is not timed. A tick makes the windows and runs the graph
    # for every link, which is the most that a tick can cost.
    bound = forecaster.bind(ArrayFeed(_kpis(links)), last, last, stop=last + 1)
    bound.fit()

    def make() -> Tick:
        # A copy has no cached forecast, so that it does the work of a tick.
        fresh = deepcopy(bound)
        return lambda: fresh.at(last)

    return make


def _peak_mb() -> float:
    """Return the peak resident memory of this process, MB of 2**20 bytes.

    NaN where neither Linux's /proc nor the module `resource` can tell.
    """
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:
        return math.nan
    # Unlike VmHWM, this includes the memory of the parent when it started this process.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
