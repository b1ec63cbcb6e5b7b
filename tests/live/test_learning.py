"""Policies learn beside the twin for a new beginning, and what is decided is the same."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fed import HISTORY, TICK, opened, rows_of, some, table, trace, zero

from twin.live import learning
from twin.live.epoch import read_epoch
from twin.live.learning import ticks_ahead
from twin.live.living import LivingTwin
from twin.live.replayed import replayed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no copies of processes here")

POLICIES = [
    {"name": "steady", "use": "conformal", "model": "ridge_traffic"},
    {"name": "plain", "use": "conformal", "model": "persistence"},
    "static_p95",
    "bilstm",
]
TELEMETRY = {"late": "1h", "keep": "25h"}
AHEAD = 3


@pytest.fixture(autouse=True)
def slow_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)
    monkeypatch.setattr(learning, "_SHORT_S", 0.0)
    monkeypatch.setattr(learning, "_STARTS_S", (AHEAD - 0.5) * TICK)


def feed(living: LivingTwin, stop: int, *, refit: int = 20) -> None:
    """Let intervals close; of some samples come late, and of some nothing."""
    whole = trace(HISTORY + stop)
    rng = np.random.default_rng(3)
    late = rng.random((HISTORY + stop, 3)) < 0.1
    for k in range(living.interval, stop):
        at, now = HISTORY + k, zero(living) + (HISTORY + k + 1) * TICK
        if k + 1 == refit:
            living.refit("it was asked to")
        living.take(some(rows_of(whole, at, at + 1, zero(living)), ~late[at]), now)
        if (past := at - 4) >= HISTORY:
            came = late[past] & np.array([True, True, False])
            living.take(some(rows_of(whole, past, past + 1, zero(living)), came), now)
        living.advance(now + 60)


def twin_of(folder: Path, **keys: Any) -> LivingTwin:
    return opened(folder, POLICIES, telemetry=TELEMETRY, **keys)


def test_it_begins_anew_when_policies_have_learnt_and_a_replay_decides_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), twin_of(tmp_path) as living:
        feed(living, 22)
        assert (living.first, living.refitting) == (0, "it was asked to")
        assert living._keeper.present.prepared is not None
        feed(living, 40)
        assert (living.first, living.why) == (20 + AHEAD, "it was asked to")
        assert living._keeper.present.prepared is None
        result = table(living.result())
        span = living.simulation.span
    assert caplog.messages == []
    # What no late sample can change any more, of the last 25 hours that were known.
    assert (span.history, span.first) == (300 - 12, 300 + AHEAD)
    assert read_epoch(tmp_path / "journal/000002").facts.fitted == 288
    assert table(replayed(tmp_path)) == result
    assert not list(tmp_path.glob("learnt*"))


def killed(living: LivingTwin) -> None:
    living._keeper._upkeep.wait()
    living._keeper._learning._aside.end()
    living._keeper._journal.close()
    living._stack.close()


@pytest.mark.long
def test_a_kill_while_they_learn_changes_nothing(tmp_path: Path) -> None:
    with twin_of(tmp_path / "whole") as living:
        feed(living, 40)
        whole = table(living.result())
    for checkpoint in (False, True):
        folder = tmp_path / f"parts-{checkpoint}"
        for stop in (20, 21, 22, 23, 24):
            living = twin_of(folder)
            feed(living, stop)
            if checkpoint:
                living._keeper.checkpoint()
            killed(living)
        with twin_of(folder) as living:
            feed(living, 40)
            assert living.first == 20 + AHEAD
            assert table(living.result()) == whole


@pytest.mark.long
def test_a_kill_before_it_has_looked_changes_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with twin_of(tmp_path / "whole") as living:
        feed(living, 26)
        whole = table(living.result())
    living = twin_of(tmp_path / "parts")
    feed(living, 19)
    with monkeypatch.context() as broken:
        broken.setattr("twin.live.keeping.Keeper._renew", lambda _: None)
        feed(living, 20)
    killed(living)
    with twin_of(tmp_path / "parts") as living:
        assert living._keeper.present.prepared is not None
        feed(living, 26)
        assert table(living.result()) == whole


@pytest.mark.long
@pytest.mark.parametrize("what", ["fails", "is killed", "leaves nothing"])
def test_where_that_fails_they_learn_at_once(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with twin_of(tmp_path / "whole") as living:
        feed(living, 30)
        whole = table(living.result())
    if what == "fails":
        monkeypatch.setattr(sys, "executable", "/bin/false")
    with twin_of(tmp_path / "other") as living:
        feed(living, 21)
        beside = living._keeper._learning
        if what == "is killed":
            assert beside._aside._pid is not None
            os.kill(beside._aside._pid, signal.SIGKILL)
        if what == "leaves nothing":
            beside._aside.wait()
            beside._path().unlink()
        with caplog.at_level(logging.WARNING, "twin.live"):
            feed(living, 30)
        assert living.first == 20 + AHEAD
        assert table(living.result()) == whole
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("policies learn at once, not beside the twin: ")


@pytest.mark.long
def test_they_learn_for_the_end_of_a_period(tmp_path: Path) -> None:
    telemetry = {"late": "1h", "keep": "14h"}
    with opened(
        tmp_path, POLICIES, telemetry=telemetry, sla={"target": 0.01, "period": "1d"}
    ) as living:
        feed(living, 284, refit=0)
        assert living.first == 0
        assert living._keeper.present.prepared is None
        feed(living, 285, refit=0)
        assert living._keeper.present.prepared is not None
        feed(living, 290, refit=0)
        assert living.first == 288
        result = table(living.result())
    assert table(replayed(tmp_path)) == result


def test_nobody_is_left_when_the_twin_stops(tmp_path: Path) -> None:
    living = twin_of(tmp_path)
    feed(living, 21)
    copy = living._keeper._learning._aside._pid
    assert copy is not None
    children = Path(f"/proc/{copy}/task/{copy}/children")
    while not (fresh := children.read_text().split()):
        time.sleep(0.01)
    living.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{fresh[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{fresh[0]}").exists()
    assert not list(tmp_path.glob("learnt*"))


def test_only_fits_that_take_long_are_begun_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with opened(tmp_path, POLICIES) as living:
        assert ticks_ahead(living.scenario, TICK) == 0
        monkeypatch.setattr(learning, "_MODEL_S", 40.0)
        # Two of four policies ask models: of 3 links in 80 s each, and three times as long.
        assert ticks_ahead(living.scenario, TICK) == (3 * 3 * 80 + 10) // TICK + 1
