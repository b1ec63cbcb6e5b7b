"""Clocks of a living twin: by its data, and as fast as a trace is fed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fed import opened

from twin.live.clock import DataClock, SpeedClock
from twin.live.samples import Samples


def test_one_link_does_not_move_the_clock_of_the_data() -> None:
    clock = DataClock(("a", "b", "c"), 300, 1_000, 1e10)
    assert clock.now() == 1_000
    clock.see(Samples.of(["a", "x"], [1e9, 1e9], [1, 1]))
    assert clock.now() == 1_000
    clock.see(Samples.of(["b"], [1_000], [1]))
    assert clock.now() == 1_300
    clock.see(Samples.of(["c", "b", "b"], [1_000, 1_300, 900], [1, 1, 1]))
    assert clock.now() == 1_600
    assert DataClock(("a",), 300, 0, 86_400).now() == 0


def test_what_is_dated_years_later_does_not_move_the_clock_of_the_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = DataClock(("a", "b"), 300, 1_000, 86_400)
    clock.see(Samples.of(["a", "b"], [1_000 + 86_400, 1_000 + 86_400], [1, 1]))
    assert clock.now() == 1_000
    assert "dated more than 1d after 1970-01-01T00:16:40Z" in caplog.text
    clock.see(Samples.of(["a", "b"], [1_000 + 80_000, 1_000 + 80_000], [1, 1]))
    assert clock.now() == 1_000 + 80_300


def test_a_clock_runs_as_fast_as_it_is_told() -> None:
    clock = SpeedClock(5_000, 1e6)
    now = clock.now()
    assert now >= 5_000
    assert 0 <= clock.until(now + 1e6) <= 1
    assert clock.until(0) == 0


def test_the_clock_of_the_data_goes_on_from_what_waits(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"]) as living:
        living.ahead_s = 86_400.0
        begins = living.begins_s
        assert living.heard_s().tolist() == [begins] * 3
        ahead = Samples.of(["link-1", "link-1"], [begins, begins + 3_000], [1, 2])
        assert living.take(ahead, begins).outcomes == {"taken": 2}
        assert living.heard_s().tolist() == [begins, begins + 3_300, begins]
    with opened(tmp_path, ["last_value"]) as again:
        assert again.heard_s().tolist() == [begins, begins + 3_300, begins]
