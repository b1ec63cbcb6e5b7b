"""What cannot be answered now: nothing has closed yet, or the disk is full."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from serving import BEGINS, running
from test_http import CSV, HEAD, refusal

from twin.live.http.errors import HttpError


def test_what_is_not_there_yet_or_not_known_says_so(tmp_path: Path) -> None:
    with running(tmp_path) as new:
        said = refusal(new.client.get("/state?at=2001-01-01T00:00Z"), 400)
        assert said["where"] == "at"
        answer = new.client.get("/scoreboard")
        assert (answer.status_code, answer.json()) == (200, {"acting": "rolling_max", "spans": []})


def test_samples_that_a_full_disk_refuses_are_seen_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line = f"{HEAD}{BEGINS + 1:.0f},link-0,5\n"
    with running(tmp_path) as server:
        with monkeypatch.context() as full:

            def fail(*_: Any) -> None:
                raise OSError(28, "No space left on device")

            full.setattr("twin.live.journal.os.write", fail)
            answer = server.client.post("/telemetry", content=line, headers=CSV)
            said = refusal(answer, 503)["error"]
            # Where the journal lies is told to the log's readers at most.
            assert said == "nothing can be written: No space left on device"
            while server.loop.present.trouble is None:
                time.sleep(0.005)
            assert refusal(server.client.get("/readyz"), 503)["error"] == said
        assert said in caplog.text
        answer = server.client.post("/telemetry", content=line, headers=CSV)
        assert answer.json()["samples"] == {"taken": 1}
        while server.loop.present.trouble is not None:
            time.sleep(0.005)


@pytest.mark.parametrize("folder", ["/srv/", "/home/a planner/own policies/", "C:\\plans\\"])
def test_where_a_policy_lies_on_the_machine_is_not_told(folder: str) -> None:
    what = "policy own: allocate(): ValueError: too few Mbit/s at /telemetry "
    answer = HttpError(422, f"{what}({folder}own.py:26)").response()
    assert json.loads(answer.body)["error"] == f"{what}(own.py:26)"
