"""What is acknowledged is kept: after a kill at any instant, as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fed import HISTORY, TICK, feed, opened, rows_of, scenario, some, table, trace, zero
from kept import INTERVALS, POLICIES

import twin
from twin import InputError, RunError
from twin.live.checkpoint import read_checkpoint
from twin.live.epoch import read_epoch
from twin.live.living import LivingTwin
from twin.live.replayed import replayed

HERE = Path(__file__).parent


def killed(folder: Path, after_s: float) -> tuple[list[str], bool]:
    """Let a twin work and kill it; return what it said, and whether it came to its end."""
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    command = [sys.executable, str(HERE / "kept.py"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.kill()
        said += process.stdout.read()
    # The last line may be cut off.
    lines = said.decode().split("\n")[:-1]
    return lines, "done" in lines


def kill_often(folder: Path, times: int, seed: int = 0) -> int:
    """Kill a twin so often, or until it has come to its end; return how often it was killed."""
    rng = np.random.default_rng(seed)
    acknowledged = decided = -1
    done = False
    kills = 0
    while not done and kills < times:
        said, done = killed(folder, float(rng.uniform(0, 0.25)))
        kills += 1
        resumed = next((int(line.split()[1]) for line in said if line.startswith("resumed")), None)
        if resumed is not None:
            # Nothing that was decided is decided again.
            assert resumed >= decided + 1
        for line in said:
            if line.startswith("taken"):
                acknowledged = max(acknowledged, int(line.split()[1]))
            elif line.startswith("decided"):
                decided = max(decided, int(line.split()[1]))
        # What was acknowledged is there, as the twin itself reads it.
        if acknowledged >= 0:
            count = sum(len(each) for each in _samples(folder))
            assert count >= 3 * (acknowledged + 1)
    while not done:
        _, done = killed(folder, 60)
    with opened(folder, POLICIES) as living:
        assert living.counts["taken"] == 3 * INTERVALS
        assert living.interval == INTERVALS
        result = table(living.result())
    with opened(folder.with_name(f"{folder.name}-undisturbed"), POLICIES) as living:
        feed(living, trace(), HISTORY, HISTORY + INTERVALS)
        assert table(living.result()) == result
    assert table(replayed(folder)) == result
    return kills


def _samples(folder: Path) -> list[np.ndarray]:
    from twin.live.journal import read
    from twin.live.present import SAMPLES, samples_in

    records = read(folder / "journal/000001/records")
    return [samples_in(record.payload)[0].cell for record, _ in records if record.kind == SAMPLES]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_kill_loses_nothing_and_decides_nothing_twice(tmp_path: Path) -> None:
    kill_often(tmp_path / "state", 1)


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_fifty_kills_do_not_either(tmp_path: Path) -> None:
    kills = 0
    while kills < 50:
        kills += kill_often(tmp_path / str(kills), 50 - kills, seed=kills)


def test_a_checkpoint_that_is_damaged_or_of_the_future_is_passed_over(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 9)
        result = table(living.result())
    checkpoint = tmp_path / "journal/000001/checkpoint"
    whole = checkpoint.read_bytes()
    epoch = read_epoch(checkpoint.parent)
    assert read_checkpoint(checkpoint, epoch) is not None
    for damaged in (b"", whole[:30], whole[:-9], whole[:500] + b"?" + whole[501:], b"x" * 99):
        checkpoint.write_bytes(damaged)
        assert read_checkpoint(checkpoint, epoch) is None
        with opened(tmp_path, ["last_value"]) as living:
            assert table(living.result()) == result
    records = tmp_path / "journal/000001/records"
    # A journal that was restored from an older copy ends before the checkpoint.
    older = records.read_bytes()[: -records.stat().st_size // 3]
    from twin.live.journal import read

    records.write_bytes(older)
    end = list(read(records))[-1][1].position
    with opened(tmp_path, ["last_value"]) as living:
        assert 0 < living.interval < 9
        # What was cut off is gone; the last decision may have been made again.
        kept = list(read(records))
        assert len(records.read_bytes()) == kept[-1][1].position
        assert records.read_bytes()[:end] == older[:end]
        assert [record.kind for record, place in kept if place.position > end] in ([], [b"D"])


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk, where that is not what is tested."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.mark.usefixtures("quick_disk")
def test_a_twin_begins_anew_on_what_it_keeps(tmp_path: Path) -> None:
    keep = 300  # 25 h; it begins anew when 900 samples have come, those of the history included
    whole = trace(HISTORY + 340)
    with opened(tmp_path, POLICIES, telemetry={"keep": "25h"}) as living:
        living.add(twin.LinkFailure(start="26h", duration="30min", links=["link-0"]))
        for k in range(HISTORY, HISTORY + 340):
            now = zero(living) + (k + 1) * TICK
            late = rows_of(whole, k - 2, k - 1, zero(living))
            if k % 20 == 5:
                living.take(some(late, late.link == 1), now)
            come = rows_of(whole, k, k + 1, zero(living))
            living.take(some(come, come.link != 1) if k % 20 == 3 else come, now)
            if k == HISTORY + 299:
                # What has come early when it begins anew.
                early = rows_of(whole, k + 1, k + 2, zero(living))
                living.take(some(early, early.link == 0), now)
            living.advance(now + 30)
        assert living.counts["duplicate"] == 1
        assert living.first == 300
        assert living.interval == 340
        assert living.simulation.source.history.samples == keep
        assert living.counts["closed"] == 340
        assert living.counts["late"] == living.counts["missing"] == 17
        result = living.result()
        assert len(result.intervals) == 2 * 3 * 40
        # An event of 26 h after the beginning is one of 1 h after the second one.
        assert list(result.events["time_s"]) == [3600.0, 5400.0]
    assert table(replayed(tmp_path)) == table(result)
    first = replayed(tmp_path, number=1)
    assert len(first.intervals) == 2 * 3 * 300
    with opened(tmp_path, POLICIES, telemetry={"keep": "25h"}) as living:
        assert table(living.result()) == table(result)
        # The past is there, from the days of the first epoch and from the second.
        then = living.state_at(living.begins_s + 250 * TICK)
        assert then["interval"] == 250
        row = next(r for r in then["links"] if r["link"] == "link-2" and r["policy"] == "steady")
        there = first.intervals.query("interval == 250 and link == 'link-2' and policy == 'steady'")
        assert row["requested_mbps"] == there["requested_mbps"].iloc[0]
        assert living.state_at(living.begins_s + 320 * TICK)["interval"] == 320
        with pytest.raises(InputError, match="is in no interval that has closed"):
            living.state_at(living.begins_s + 340 * TICK)


@pytest.mark.usefixtures("quick_disk")
def test_days_that_are_over_become_tables_and_old_ones_go(tmp_path: Path) -> None:
    telemetry = {"keep": "10d", "late": "1h", "retention": "1d"}
    with opened(tmp_path, ["last_value"], telemetry=telemetry) as living:
        feed(living, trace(HISTORY + 570), HISTORY, HISTORY + 570)
        begins = datetime.fromtimestamp(living.begins_s, UTC)
        result = living.result()
    assert begins == datetime(2026, 1, 3, 2, tzinfo=UTC)
    names = sorted(file.name for file in (tmp_path / "days").iterdir())
    assert names == ["2026-01-04-000264.parquet"]
    day = pd.read_parquet(tmp_path / "days" / names[0])
    assert len(day) == 288 * 3
    assert day["time"].min() == pd.Timestamp("2026-01-04", tz="UTC")
    there = result.intervals.query("264 <= interval < 552")
    pd.testing.assert_series_equal(
        day["requested_mbps"], there["requested_mbps"], check_index=False
    )


def test_another_scenario_goes_on_with_what_is_known(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 20)
        living.take(
            rows_of(trace(), HISTORY + 20, HISTORY + 21, zero(living)),
            zero(living) + 621 * TICK - 9,
        )
    with opened(tmp_path, ["static_p95", "rolling_max"]) as living:
        assert living.acting == "static_p95"
        assert (living.first, living.interval) == (20, 20)
        # What waited still does.
        assert living.waiting == 3
        source = living.simulation.source
        np.testing.assert_array_equal(
            source.values("internet", 0, source.ready), trace().demand_mbps[: HISTORY + 20]
        )
        feed(living, trace(), HISTORY + 20, HISTORY + 25)
        assert living.counts["duplicate"] == 3
        result = living.result()
    assert table(replayed(tmp_path)) == table(result)


def test_a_refit_is_kept_and_happens_with_the_next_interval(tmp_path: Path) -> None:
    with opened(tmp_path, POLICIES) as living:
        feed(living, trace(), HISTORY, HISTORY + 20)
        living.refit("the demand of link-0 drifted")
        assert living.first == 0
    with opened(tmp_path, POLICIES) as living:
        feed(living, trace(), HISTORY + 20, HISTORY + 30)
        assert living.first == 21
        result = table(living.result())
    assert table(replayed(tmp_path)) == result
    said = (tmp_path / "journal/000002/epoch.json").read_text()
    assert '"why": "the demand of link-0 drifted"' in said


def test_the_live_may_begin_later_than_the_trace_ends(tmp_path: Path) -> None:
    ends = 1_767_225_600.0 + HISTORY * TICK
    with LivingTwin.open(scenario(["last_value"]), tmp_path, begins=ends + 1_000) as living:
        assert living.begins_s == ends + 900
        source = living.simulation.source
        assert source.ready == HISTORY + 3
        assert np.isnan(source.rows("internet", HISTORY, HISTORY + 3)).all()
    with pytest.raises(InputError, match="the trace ended 30d before now, and nothing is known"):
        LivingTwin.open(scenario(["last_value"]), tmp_path / "b", begins=ends + 30 * 86_400)
    undated = scenario(["last_value"], trace(HISTORY, dated=False))
    with LivingTwin.open(undated, tmp_path / "c", begins=ends + 1_000) as living:
        assert ends + 700 < living.begins_s <= ends + 1_000
        assert living.simulation.source.ready == HISTORY
    with LivingTwin.open(undated, tmp_path / "d") as living:
        assert living.begins_s == HISTORY * TICK


@pytest.mark.usefixtures("quick_disk")
def test_what_hinders_a_new_beginning_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with opened(tmp_path, ["last_value"], telemetry={"keep": "2h"}) as living:
        monkeypatch.setattr("twin.live.keeping.write_epoch", full)
        feed(living, trace(HISTORY + 60), HISTORY, HISTORY + 25)
        assert (living.first, living.interval) == (0, 25)
        assert living.trouble == "cannot begin anew: [Errno 28] No space left on device"
        monkeypatch.undo()
        monkeypatch.setattr("os.fsync", lambda handle: None)
        feed(living, trace(HISTORY + 60), HISTORY + 25, HISTORY + 40)
        assert living.first > 24
        assert living.trouble is None
        result = table(living.result())
    assert table(replayed(tmp_path)) == result


def test_what_cannot_decide_still_keeps_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: twin.Simulation, timed_out: object = None) -> None:
        raise RunError("policy last_value: and so does its fallback")

    with opened(tmp_path, ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 3)
        monkeypatch.setattr(twin.Simulation, "step", fails)
        for k in (3, 4):
            with pytest.raises(RunError, match="and so does its fallback"):
                feed(living, trace(), HISTORY + k, HISTORY + k + 1)
        assert not living.ready
        assert living.why_not == "policy last_value: and so does its fallback"
        now = zero(living) + (HISTORY + 6) * TICK
        assert living.take(rows_of(trace(), HISTORY + 5, HISTORY + 6, zero(living)), now).kept == 3
    monkeypatch.undo()
    with opened(tmp_path, ["last_value"]) as living:
        assert living.ready
        assert living.interval == 4
        feed(living, trace(), HISTORY + 4, HISTORY + 6)
        assert living.counts["duplicate"] == 3 + 3
        result = table(living.result())
    with opened(tmp_path / "other", ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 6)
        assert table(living.result()) == result
