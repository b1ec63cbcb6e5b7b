"""A small simulation whose demand ends in a mark that nothing before shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import twin

HISTORY, SAMPLES, HIDDEN = 20, 40, 30
"""From sample HIDDEN on the demand is MARK, which nothing before shows."""
MARK = 987_654.0


def small_trace(links: int = 2) -> twin.Trace:
    demand = np.tile(np.arange(1.0, SAMPLES + 1)[:, None], (1, links))
    demand[HIDDEN:] = MARK
    times = pd.Index(np.arange(SAMPLES) * 300, name="time")
    columns = [f"link-{i + 1}" for i in range(links)]
    return twin.Trace.from_frame(pd.DataFrame(demand, index=times, columns=columns))


def requested(policies: list[Any], links: int = 2, **options: Any) -> dict[str, np.ndarray]:
    """What each policy asks for until the mark is observed, [intervals, links]."""
    sim = twin.Simulation(
        small_trace(links), policies, train=HISTORY / SAMPLES + 1e-6,
        replay={"duration": "50min"}, **options,
    )  # fmt: skip
    sim.run()
    return {lane.name: lane.requested for lane in sim.recording().lanes}


def misbehaving(deed: Any, at: int = 3) -> type[twin.Policy]:
    class Misbehaving(twin.Policy):
        """Does something that it must not."""

        def allocate(self, observation: twin.Observation) -> Any:
            if observation.interval == at:
                answer = deed()
                return [5.0, 5.0] if answer is None else answer
            return [5.0, 5.0]

    return Misbehaving
