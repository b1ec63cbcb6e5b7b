"""A policy that ran into its time limit: a replay and a restart decide as the twin did."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from fed import table

import twin
from twin.live.clock import TraceFeed
from twin.live.journal import read
from twin.live.living import LivingTwin
from twin.live.present import DECIDED
from twin.live.replayed import replayed

INTERVALS = 24
SCENARIO = """\
name: hanging
demand: {facilities: 2, length: 4d}
policies: [moody, {name: steady, use: conformal, model: ridge}]
fallback: {use: rolling_max, after: 4, time_limit: 0.5s}
"""
POLICY = """\
import time
from pathlib import Path

import numpy as np
from twin import Policy


class Moody(Policy):
    def fit(self, history):
        self._seen = 0

    def allocate(self, observation):
        self._seen += 1
        forecast = observation.forecast("ridge")
        hangs, slow = Path("HERE/hangs"), Path("HERE/slow")
        if hangs.exists() and (left := int(hangs.read_text() or 0)):
            hangs.write_text(str(left - 1))
        elif hangs.exists():
            hangs.unlink()
            self._seen += 1000
            time.sleep(60)
        if slow.exists():
            time.sleep(0.7)
        return forecast + self._seen
"""


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture
def scenario(tmp_path: Path) -> twin.Scenario:
    (tmp_path / "moody.py").write_text(POLICY.replace("HERE", str(tmp_path)))
    (tmp_path / "hanging.yaml").write_text(SCENARIO)
    return twin.Scenario.load(tmp_path / "hanging.yaml")


def opened(scenario: twin.Scenario, state: Path, *, hangs: bool = False) -> LivingTwin:
    if hangs:
        (state.parent / "hangs").touch()
    return LivingTwin.open(scenario, state, split=True)


def feed(living: LivingTwin, scenario: twin.Scenario, stop: int, hangs: Iterable[int] = ()) -> None:
    """Let intervals close; the policy hangs when it decides for some of those to come."""
    for samples, now in TraceFeed.of(living, scenario):
        if living.interval == stop:
            return
        if living.interval + 1 in hangs:
            (living.days_folder.parents[1] / "hangs").touch()
        living.take(samples, now)
        living.advance(now)


def decided_by(living: LivingTwin) -> list[int]:
    """The intervals that the fallback decided."""
    decided = living.decisions(since=0)
    return [each["interval"] for each in decided if each["decided_by"] == "rolling_max"]


def test_a_replay_hangs_where_the_twin_did(tmp_path: Path, scenario: twin.Scenario) -> None:
    with opened(scenario, tmp_path / "state", hangs=True) as living:
        assert decided_by(living) == [0]
        feed(living, scenario, INTERVALS, hangs=(7, 15))
        assert decided_by(living) == [0, 7, 15]
        # What it knew may have been half changed: it has learnt anew each time.
        assert living.simulation._lanes[0].policy._seen == INTERVALS - 15
        result = living.result()
    assert not (tmp_path / "hangs").exists()
    again = replayed(tmp_path / "state")
    assert table(again) == table(result)
    assert again.summary.equals(result.summary)
    assert again.events.equals(result.events)
    assert result.events["detail"].str.contains("took longer than 0.5s").sum() == 3


def test_what_is_slow_when_it_is_replayed_decides_as_it_did(
    tmp_path: Path, scenario: twin.Scenario
) -> None:
    with opened(scenario, tmp_path / "state") as living:
        feed(living, scenario, 2)
        result = table(living.result())
    (tmp_path / "slow").touch()
    assert table(replayed(tmp_path / "state")) == result


def killed(living: LivingTwin) -> None:
    """Let go of the folder without a checkpoint."""
    living._keeper._upkeep.wait()
    living._keeper._journal.close()
    living._stack.close()


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_restart_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, scenario: twin.Scenario, *, checkpoint: bool
) -> None:
    with opened(scenario, tmp_path / "whole", hangs=True) as living:
        feed(living, scenario, INTERVALS, hangs=(7, 15))
        whole = table(living.result())
    living = opened(scenario, tmp_path / "parts", hangs=True)
    for stop in (0, 7, 9, 15, INTERVALS):
        feed(living, scenario, stop, hangs=(7, 15))
        if checkpoint:
            living._keeper.checkpoint()
        killed(living)
        living = opened(scenario, tmp_path / "parts")
        assert living.interval == stop
    assert decided_by(living) == [0, 7, 15]
    assert table(living.result()) == whole
    living.close()
    assert table(replayed(tmp_path / "parts")) == whole


def test_a_decision_that_nobody_was_told_of_is_made_again(
    tmp_path: Path, scenario: twin.Scenario
) -> None:
    state = tmp_path / "state"
    living = opened(scenario, state)
    feed(living, scenario, 7, hangs=(7,))
    assert decided_by(living) == [7]
    killed(living)
    records = state / "journal/000001/records"
    places = [(record, after) for record, after in read(records)]
    assert places[-1][0] == (DECIDED, b'["moody"]')
    records.write_bytes(records.read_bytes()[: places[-2][1].position])
    with opened(scenario, state) as living:
        assert living.interval == 7
        assert decided_by(living) == []
        assert list(read(records))[-1][0] == (DECIDED, b"[]")
        feed(living, scenario, 9)
        result = table(living.result())
    assert table(replayed(state)) == result


def test_a_decision_is_told_once_it_is_on_the_disk(
    tmp_path: Path, scenario: twin.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twin.live import journal
    from twin.live.samples import NotWrittenError

    def full(self: journal.RecordJournal, kind: bytes, payload: bytes) -> None:
        if kind == DECIDED:
            raise NotWrittenError("No space left on device")
        append(self, kind, payload)

    append, told = journal.RecordJournal.append, list[int]()
    state = tmp_path / "state"
    with opened(scenario, state) as living:
        living.subscribe(lambda closed: told.append(closed.interval))
        feed(living, scenario, 3)
        with monkeypatch.context() as broken:
            broken.setattr(journal.RecordJournal, "append", full)
            with pytest.raises(NotWrittenError):
                feed(living, scenario, 4, hangs=(4,))
            with pytest.raises(NotWrittenError):
                feed(living, scenario, 5)
        assert told == [0, 1, 2]
        assert living.advance(0.0) == 0
        assert told == [0, 1, 2, 3]
        feed(living, scenario, 8)
        assert decided_by(living) == [4]
        result = table(living.result())
    assert table(replayed(state)) == result


def test_a_new_beginning_remembers_who_was_late_for_it(
    tmp_path: Path, scenario: twin.Scenario
) -> None:
    state = tmp_path / "state"
    with opened(scenario, state) as living:
        feed(living, scenario, 4)
        living.refit("it was asked to")
        # Of two decisions for interval 5 the one of the new beginning is the later.
        (tmp_path / "hangs").write_text("1")
        feed(living, scenario, 5)
        assert living.first == 5
        assert living.allocations()["decided_by"] == "rolling_max"
        feed(living, scenario, 9, hangs=(8,))
        assert decided_by(living) == [5, 8]
        result = table(living.result())
    assert table(replayed(state)) == result
    first, *_ = read(state / "journal/000002/records")
    assert first[0] == (DECIDED, b'["moody"]')
    with opened(scenario, state) as living:
        assert table(living.result()) == result
