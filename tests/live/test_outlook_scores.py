"""Outlooks in hindsight: each number once, by hand, and links whose forecasts are missed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed import TICK, opened
from serving import POLICIES, running

from twin.engine.actions import ClosedInterval
from twin.live.http.outlook_scores import OutlookScores
from twin.live.http.tasks import FanOfLinks

INTERVALS = 7_200 // TICK


def fan(
    made: int, said: dict[str, tuple[float | None, float | None]], low: float, high: float
) -> FanOfLinks:
    """An outlook whose intervals are `said`, and of demand from `low` to `high`."""
    quantiles = np.linspace(low, high, 5, dtype=np.float32)
    ends = {
        name: {"without": {"mean": None, "low": ends[0], "high": ends[1]}}
        for name, ends in said.items()
    }
    policy: dict[str, Any] = {"policy": "rolling_max", **ends}
    return FanOfLinks(
        made, np.tile(quantiles, (72, 3, 1)), np.zeros(3, np.float32), {"policies": [policy]}
    )


def closed(interval: int, mbps: float) -> ClosedInterval:
    row = np.full(3, mbps)
    return ClosedInterval(interval, TICK * interval, row, {}, row, np.zeros(3, np.bool_))


def test_a_running_twin_scores_its_outlook_once_it_is_over(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.close_intervals(2)
        scores = server.service.outlook_scores
        # Demand rises by 1 Mbit/s an interval, from 102 on, and rolling_max gives 1.1 of the last.
        said = {
            "violated_minutes": (0.0, 0.0),
            "unmet_mbit": (1.0, 2.0),
            "peak_utilization": (0.9, None),
            "peak_load_mbps": (102.0 + INTERVALS - 1, 102.0 + INTERVALS - 1),
        }
        scores.made(fan(2, said, 0, 1_000))
        scores.made(fan(5, said, 0, 1_000))  # overlaps
        server.close_intervals(INTERVALS - 1)
        assert set(scores.scored.values()) == {0}
        server.close_intervals(1)
        told = server.client.get("/state").json()["outlooks_in_hindsight"]
        assert {name: each["scored"] for name, each in told.items()} == dict.fromkeys(said, 1)
        assert {name: each["held"] for name, each in told.items()} == {
            "violated_minutes": 1, "unmet_mbit": 0, "peak_utilization": 1, "peak_load_mbps": 1,
        }  # fmt: skip
        metrics = server.client.get("/metrics").text
        assert 'twin_outlooks_held_total{number="unmet_mbit"} 0.0' in metrics
        assert 'twin_outlooks_scored_total{number="unmet_mbit"} 1.0' in metrics
        # The one that overlapped does not count; one that begins where the first ended does.
        server.close_intervals(5)
        assert scores.scored["unmet_mbit"] == 1


def test_links_whose_intervals_are_missed_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path, POLICIES) as twin:
        scores = OutlookScores(twin)
        with caplog.at_level(logging.WARNING):
            for k in range(20):
                scores.made(fan(k, {}, 90, 110))
                # Missed twice of three times.
                scores.closed(closed(k, 100 if k % 3 == 0 else 120))
    assert scores.missed["links"] == 3
    assert "forecast of link-0: 6" in caplog.text
