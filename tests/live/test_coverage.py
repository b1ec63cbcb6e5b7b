"""Coverage of intervals: a loss is found soon, and nothing is found where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from twin.live.coverage import CoverageMonitor

LINKS = [str(i) for i in range(200)]


def test_a_month_of_right_intervals_raises_less_than_half_an_alarm_a_link() -> None:
    rng, monitor = np.random.default_rng(1), CoverageMonitor(LINKS)
    found = [loss for _ in range(8_640) for loss in monitor.update(rng.random(200) < 0.1)]
    assert len(found) / 200 < 0.5


@pytest.mark.parametrize(("share", "within"), [(0.3, 72), (0.6, 30)])
def test_a_loss_of_coverage_is_found(share: float, within: int) -> None:
    rng, monitor = np.random.default_rng(2), CoverageMonitor(LINKS)
    first: dict[str, tuple[int, int, float]] = {}
    for k in range(600):
        missed = rng.random(200) < (share if k >= 300 else 0.1)
        for loss in monitor.update(missed):
            if k >= 300:
                first.setdefault(loss.link, loss[1:])
    assert len(first) == 200
    delay = np.array([at - 300 for _, at, _ in first.values()])
    assert np.median(delay) <= within
    assert np.mean([since >= 250 for since, _, _ in first.values()]) > 0.9
    assert np.mean([missed for *_, missed in first.values()]) == pytest.approx(share, abs=0.15)


def test_one_long_surprise_is_no_loss_and_what_is_missing_says_nothing() -> None:
    monitor = CoverageMonitor(["a", "b"])
    for k in range(60):
        missed = np.array([20 <= k < 40, True])
        assert monitor.update(missed, np.array([True, False])) == []


def test_a_share_that_cannot_triple_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a share of 0\.5 misses cannot triple"):
        CoverageMonitor(["a"], 0.5)
