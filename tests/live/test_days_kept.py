"""Days that are over: read beside the twin, and said where damaged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fed import HISTORY, TICK, feed, opened, trace
from serving import Running

from twin.core.errors import InputError
from twin.live.day_file import DayFile, day_files
from twin.live.living import LivingTwin

POLICIES = ["rolling_max", "last_value"]


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


def run(
    folder: Path, *refits: int, stop: int = 60, policies: Any = POLICIES, **keys: Any
) -> LivingTwin:
    """A twin that has begun anew after so many intervals."""
    living = opened(folder, policies, **keys)
    whole = trace(HISTORY + stop)
    for k in range(living.interval, stop):
        if k + 1 in refits:
            living.refit("it was asked to")
        feed(living, whole, HISTORY + k, HISTORY + k + 1)
    return living


def test_decisions_go_back_over_times_that_it_began_anew(tmp_path: Path) -> None:
    with run(tmp_path / "one") as whole, run(tmp_path / "several", 20, 45) as parts:
        assert (whole.first, parts.first) == (0, 45)
        assert parts.reading_decisions(0, 100)().known_from == 0
        assert parts.decisions(0) == whole.decisions(0)
        assert len(parts.decisions(0)) == 61
        for since, most in ((0, 7), (15, 10), (20, 25), (44, 1), (44, 2), (45, 5), (60, 9)):
            assert parts.decisions(since, most) == whole.decisions(0)[since : since + most]
        assert parts.decisions() == whole.decisions()
        parts.act("last_value")
        assert [each["policy"] for each in parts.decisions(3, 2)] == ["last_value"] * 2


def test_they_end_at_a_hole(tmp_path: Path) -> None:
    with run(tmp_path, 20, 45) as living:
        (living.days_folder / "2026-01-03-000020.parquet").unlink()
        found = living.reading_decisions(0, 100)()
        assert (found.known_from, found.decisions[0]["interval"]) == (45, 45)
        with pytest.raises(InputError, match="at: nothing is kept of 2026-01-03T04:30:00Z"):
            living.state_at(living.begins_s + 30 * TICK)
        assert living.state_at(living.begins_s + 10 * TICK)["interval"] == 10


def test_they_say_who_decided(tmp_path: Path) -> None:
    outage = {"kind": "forecast_outage", "start": "25min", "duration": "10min"}
    with run(tmp_path, 20, policies=["bilstm"], events=[outage]) as living:
        decided = [each["decided_by"] for each in living.decisions(0, 25)]
        assert decided == [*["bilstm"] * 5, *["rolling_max"] * 2, *["bilstm"] * 18]


def damage(file: Path, how: str) -> None:
    whole = file.read_bytes()
    middle = len(whole) // 4
    parts = {
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "cut short": whole[:-1],
        "no end": whole[:-8] + b"\xff" * 4 + whole[-4:],
        "overwritten": whole[:middle] + b"?" * middle + whole[2 * middle :],
    }
    file.write_bytes(parts[how])


HOWS = ["empty", "cut off", "cut short", "no end", "overwritten"]


@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_day_is_said_and_the_twin_goes_on(tmp_path: Path, how: str) -> None:
    with run(tmp_path, 20, 45):
        pass
    days = tmp_path / "days"
    for file in day_files(days):
        damage(file.path, how)
    told = (
        "what was kept of 2026-01-03 is damaged; "
        "restore days/2026-01-03-000020.parquet from a copy, or remove it"
    )
    with run(tmp_path, 63, stop=70) as living:
        assert living.interval == 70
        with pytest.raises(InputError) as raised:
            living.state_at(living.begins_s + 30 * TICK)
        assert str(raised.value) == told
        if how == "overwritten":
            # It has a beginning and an end: only who reads it finds out.
            assert living.notices == []
        else:
            assert living.state()["notices"][1] == told
            # What is of the present could be made again, and was.
            assert [file.whole for file in day_files(days)] == [False, False, True]
            assert living.reading_decisions(0, 100)().known_from == 45
        assert living.decisions(50, 3)[0]["interval"] == 50


def test_a_day_of_the_present_is_made_again(tmp_path: Path) -> None:
    telemetry = {"late": "1h", "keep": "10d"}
    stop = 264 + 12 + 288 + 12
    with opened(tmp_path, ["last_value"], telemetry=telemetry) as living:
        feed(living, trace(HISTORY + stop + 9), HISTORY, HISTORY + stop)
    files = day_files(tmp_path / "days")
    assert [file.first for file in files] == [0, 264]
    whole = [file.path.read_bytes() for file in files]
    damage(files[0].path, "empty")
    with opened(tmp_path, ["last_value"], telemetry=telemetry) as living:
        assert len(living.notices) == 1
        feed(living, trace(HISTORY + stop + 9), HISTORY + stop, HISTORY + stop + 1)
        living._keeper._upkeep.wait()
        assert living.notices == []
    assert [file.path.read_bytes() for file in day_files(tmp_path / "days")] == whole


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Running]:
    with run(tmp_path, 20, 45) as living:
        made = Running(living)
        made.time = living.begins_s + 60 * TICK
        thread = threading.Thread(target=made.loop.run)
        with made.client:
            thread.start()
            try:
                yield made
            finally:
                made.loop.stop()
                thread.join()


def test_the_past_is_read_beside_the_twin(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()
    rows = DayFile.rows

    def slow(self: DayFile, interval: int) -> Any:
        reading.set()
        assert go_on.wait(20)
        return rows(self, interval)

    monkeypatch.setattr(DayFile, "rows", slow)
    answers: list[Any] = []
    path = "/state?at=2026-01-03T04:30Z"
    asking = threading.Thread(target=lambda: answers.append(served.client.get(path)))
    asking.start()
    assert reading.wait(20)
    # Meanwhile an interval closes, and others are answered.
    served.close_intervals()
    assert served.client.get("/allocations").json()["interval"] == 61
    go_on.set()
    asking.join()
    assert answers[0].json()["interval"] == 30
    decided = served.client.get("/decisions?since=18").json()
    assert (decided["known_from"], decided["next"]) == (0, 62)
    assert [each["interval"] for each in decided["decisions"]] == list(range(18, 62))


def test_what_cannot_be_read_is_a_clear_answer(
    served: Running, caplog: pytest.LogCaptureFixture
) -> None:
    damage(served.twin.days_folder / "2026-01-03-000020.parquet", "cut off")
    answer = served.client.get("/state?at=2026-01-03T04:30Z")
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "what was kept of 2026-01-03 is damaged",
        "where": "",
        "suggestion": "restore days/2026-01-03-000020.parquet from a copy, or remove it",
    }
    with caplog.at_level(logging.WARNING, "twin.live"):
        served.twin._keeper.days.look_again()
        served.close_intervals()
    notices = served.client.get("/state").json()["notices"]
    assert len(notices) == 1
    assert caplog.messages.count(notices[0]) == 1
    assert served.client.get("/readyz").status_code == 200
    assert served.client.get("/scoreboard").json()["spans"][0]["intervals"] == 16
