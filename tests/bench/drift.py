"""What drift of links is found, how soon, and how often for nothing.

    python tests/bench/drift.py [--data DIR]

Series are made (tests/live/labelled.py), and real ones where DIR holds any. Of each, copies whose
level jumps at a random instant by a factor, and stays there: what share is found within one and
two hours of it. Beside them, what is said a month of the series as it is. What is said of real ones
may be real: nobody has labelled them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "live"))

from labelled import DAY, calm
from what_if import real_traces

from twin.demand.synthetic import generate
from twin.live.drift import Drift, DriftWatch

PAST, HOUR, MONTH = 14 * DAY, 12, 30 * DAY
FACTORS = (0.5, 0.7, 0.8, 1.25, 1.4, 2.0)


def worlds(folder: Path | None, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the demand of each, [samples, links]."""
    for name, demand in real_traces(folder).items():
        for link in range(demand.shape[1]):
            yield f"{name.partition('_5min')[0]}-{link + 1}", demand[:, [link]]
    yield "made", calm(seed, PAST + MONTH, 20)
    yield "generated", generate(seed, 20, PAST + MONTH)["internet"]


def watched(demand: np.ndarray) -> list[Drift]:
    watch = DriftWatch([str(i) for i in range(demand.shape[1])], demand[:PAST], 300)
    return [drift for row in demand[PAST:] for drift in watch.update(row)]


def delays(demand: np.ndarray, factor: float, copies: int, seed: int) -> np.ndarray:
    """Return how many samples after a jump it was said, [copies]; infinite if it was not."""
    rng = np.random.default_rng(seed)
    links = rng.integers(0, demand.shape[1], copies)
    first = rng.integers(PAST + DAY, len(demand) - DAY, copies)
    jumped = demand[:, links].copy()
    for copy, at in enumerate(first.tolist()):
        jumped[at:, copy] *= factor
    found = np.full(copies, np.inf)
    for drift in watched(jumped):
        copy, after = int(drift.link), drift.at - (first[int(drift.link)] - PAST) + 1
        if drift.kind == "change" and drift.direction == np.sign(factor - 1) and after > 0:
            found[copy] = min(found[copy], after)
    return found


def main() -> None:
    """Print a line for each series and factor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--seed", type=int, default=501)
    given = parser.parse_args()
    for name, demand in worlds(given.data, given.seed):
        begin = time.process_time()
        months = (len(demand) - PAST) * demand.shape[1] / MONTH
        said = Counter(drift.kind for drift in watched(demand))
        rates = ", ".join(f"{said[kind] / months:.2f} {kind}" for kind in ("change", "shift"))
        print(f"{name}: a month and link {rates}")
        for factor in FACTORS:
            found = delays(demand, factor, given.copies, given.seed)
            hours = ", ".join(f"{(found <= n * HOUR).mean():.0%} in {n} h" for n in (1, 2))
            print(f"    x {factor:<4} {hours}")
        print(f"    {time.process_time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
