"""What is written beside the journal is written by a copy of the process, and holds up nothing."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from fed import HISTORY, feed, opened, table, trace

from twin.core.errors import InputError
from twin.live import aside, upkeep
from twin.live.aside import Aside
from twin.live.checkpoint import read_checkpoint
from twin.live.epoch import read_epoch
from twin.live.living import LivingTwin

copies = pytest.mark.skipif(sys.platform != "linux", reason="no copies of processes here")


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


POLICIES = ["static_p95", {"name": "steady", "use": "conformal", "model": "persistence"}]


@copies
def test_a_copy_works_on_what_was_while_the_process_goes_on(tmp_path: Path) -> None:
    seen = ["before"]

    def work() -> None:
        time.sleep(0.2)
        (tmp_path / "seen").write_text(f"{seen[0]} {os.getpid()}")

    beside = Aside()
    assert beside.begin(work)
    seen[0] = "after"
    assert beside.busy
    assert not beside.ended()
    assert beside.wait()
    assert not beside.busy
    assert beside.took_s >= 0.2
    word, pid = (tmp_path / "seen").read_text().split()
    assert word == "before"
    assert int(pid) != os.getpid()


@copies
def test_a_copy_holds_on_to_nothing_and_leaves_when_it_is_told_to(tmp_path: Path) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    beside = Aside()
    beside.begin(lambda: (tmp_path / "begun").touch() or time.sleep(60))
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    listening.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    pid = beside._pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    with pytest.raises(OSError, match="the copy that writes them ended with signal 15"):
        beside.wait()


@copies
def test_what_a_copy_meets_is_raised_here() -> None:
    beside = Aside()
    for raised in (OSError(28, "No space left on device"), InputError("a policy that cannot be")):
        with pytest.raises(type(raised), match=str(raised.args[-1])):
            _done(beside, lambda raised=raised: _raise(raised))
    with pytest.raises(InputError, match="ZeroDivisionError: no"):
        _done(beside, lambda: _raise(ZeroDivisionError("no")))
    with pytest.raises(OSError, match="ended with signal 9"):
        _done(Aside(patience_s=0.05), lambda: time.sleep(60))


def _done(beside: Aside, work: Callable[[], object]) -> None:
    beside.begin(work)
    beside.wait()


def _raise(error: BaseException) -> None:
    raise error


def test_where_there_are_no_copies_it_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_COPIES", False)
    done: list[int] = []
    assert not Aside().begin(lambda: done.append(os.getpid()))
    assert done == [os.getpid()]


def settled(living: LivingTwin) -> None:
    living._keeper._upkeep.wait()


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("copied", [pytest.param(True, marks=copies), False])
def test_a_checkpoint_is_of_its_tick_and_others_threads_are_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    monkeypatch.setattr(aside, "_COPIES", copied)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(stop.is_set, True)])
    thread.start()
    try:
        whole = trace(HISTORY + 40)
        living = opened(tmp_path, POLICIES)
        monkeypatch.setattr(upkeep, "_REPLAY_S", -1.0)
        feed(living, whole, HISTORY, HISTORY + 10)
        settled(living)
        epoch = read_epoch(tmp_path / "journal/000001")
        kept = read_checkpoint(epoch.folder / "checkpoint", epoch)
        assert kept is not None
        present, place = kept
        assert 1 <= present.interval <= 10
        assert place.position <= living._keeper._journal.place.position
        feed(living, whole, HISTORY + 10, HISTORY + 20)
        assert living.trouble is None
        expected = table(living.result())
        settled(living)
        # As after a kill: what is there is the last checkpoint and the journal.
        living._keeper._journal.close()
        living._stack.close()
        with opened(tmp_path, POLICIES) as again:
            assert table(again.result()) == expected
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("quick_disk")
def test_a_disk_that_takes_no_checkpoint_is_said_until_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trace(HISTORY + 40)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with opened(tmp_path, POLICIES) as living:
        monkeypatch.setattr(upkeep, "_REPLAY_S", -1.0)
        with monkeypatch.context() as broken:
            broken.setattr(upkeep, "write_checkpoint", full)
            feed(living, whole, HISTORY, HISTORY + 1)
            settled(living)
            feed(living, whole, HISTORY + 1, HISTORY + 2)
            said = "checkpoints and days cannot be written: No space left on device"
            assert living.trouble == said
            assert str(tmp_path) not in said
            settled(living)
        feed(living, whole, HISTORY + 2, HISTORY + 3)
        assert living.trouble == said
        settled(living)
        feed(living, whole, HISTORY + 3, HISTORY + 4)
        assert living.trouble is None
    assert (tmp_path / "journal/000001/checkpoint").exists()


@pytest.mark.usefixtures("quick_disk")
def test_after_a_start_that_took_long_a_checkpoint_is_there_before_the_first_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "journal/000001/checkpoint"
    living = opened(tmp_path, POLICIES)
    assert not checkpoint.exists()
    # As after a kill.
    living._keeper._journal.close()
    living._stack.close()
    monkeypatch.setattr(upkeep, "_REPLAY_S", -1.0)
    with opened(tmp_path, POLICIES) as living:
        assert checkpoint.exists()
        assert living._keeper._upkeep.spent == 0
        assert living.trouble is None


@pytest.mark.usefixtures("quick_disk")
def test_a_start_whose_checkpoint_finds_no_room_says_so_and_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_REPLAY_S", -1.0)
    with monkeypatch.context() as broken:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr(upkeep, "write_checkpoint", full)
        living = opened(tmp_path, POLICIES)
    with living:
        assert living.ready
        said = "checkpoints and days cannot be written: No space left on device"
        assert living.trouble == said


@pytest.mark.usefixtures("quick_disk")
def test_a_twin_that_begins_anew_keeps_nothing_of_what_was_before(tmp_path: Path) -> None:
    whole = trace(HISTORY + 40)
    with opened(tmp_path, POLICIES) as living:
        feed(living, whole, HISTORY, HISTORY + 3)
        before = weakref.ref(living.simulation)
        living.refit("asked")
        feed(living, whole, HISTORY + 3, HISTORY + 4)
        assert living.why == "asked"
        assert before() is None
