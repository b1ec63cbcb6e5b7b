"""The living twin: in step with what comes, and the same when its journal is replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fed import HISTORY, TICK, feed, opened, rows_of, scenario, table, trace, zero

import twin
from twin import InputError
from twin.live.living import LivingTwin
from twin.live.replayed import replayed
from twin.live.samples import Samples
from twin.telemetry.source import ReplaySource

POLICIES = ["static_p95", "conformal", "rolling_max"]


def test_what_comes_in_time_leads_to_the_decisions_of_a_replay(tmp_path: Path) -> None:
    with opened(tmp_path, POLICIES) as living:
        feed(living, trace(), HISTORY, HISTORY + 30)
        assert living.interval == 30
        assert living.counts == {"taken": 90, "closed": 30, "missing": 0}
        live = living.result()
    source = twin.LiveSource(trace().seen(HISTORY).__class__(**_head()))
    simulation = twin.Simulation(source, POLICIES, fallback={"use": "rolling_max", "after": 12})
    replay = ReplaySource(trace())
    for k in range(HISTORY, HISTORY + 30):
        source.deliver({"internet": replay.rows("internet", k, k + 1)[0]})
        simulation.step()
    assert table(live) == table(simulation.result)
    assert table(replayed(tmp_path)) == table(live)


def _head() -> dict:
    from dataclasses import fields

    from twin.telemetry.source import head

    past = head(trace(), HISTORY)
    return {each.name: getattr(past, each.name) for each in fields(past)}
