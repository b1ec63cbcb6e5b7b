"""`twin serve` as a user runs it: a process that is asked, told to stop, and started again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from fed import HISTORY, trace

from twin.cli.main import call
from twin.demand.write import write_csv

SECRET = "a-token-that-is-long-enough"


class Served:
    """One `twin serve`."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> Any:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, named)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def until(self, interval: int) -> dict[str, Any]:
        """Wait until so many intervals have closed."""
        for _ in range(600):
            state: dict[str, Any] = self.ask("state")
            if state["interval"] >= interval:
                return state
            time.sleep(0.05)
        raise AssertionError(f"only {state['interval']} intervals closed: {self.log.read_text()}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()


@contextmanager
def serving(folder: Path, *options: str, scenario: str = "scenario.yaml") -> Iterator[Served]:
    log = folder / "log.txt"
    command = [
        sys.executable, "-m", "twin", "serve", str(folder / scenario), "--port", "0",
        "--state", str(folder / "state"), *options,
    ]  # fmt: skip
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stream, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.match(r"Serving on (http://\S+)", line):
                    yield Served(process, found[1], log)
                    break
            else:
                raise AssertionError(log.read_text())
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def scenario(folder: Path, policies: Sequence[Any], **blocks: Any) -> Path:
    """Write a scenario whose trace has dates, of which all but the last 60 samples are history."""
    whole = trace()
    write_csv(folder / "trace.csv", whole.links, whole.kpis, whole.tick_s)
    path = folder / "scenario.yaml"
    demand = {
        "source": "csv",
        "path": "trace.csv",
        "starts": "2026-01-01T00:00",
        "train": (HISTORY + 0.5) / (HISTORY + 60),
    }
    block = {"name": "served", "demand": demand, "policies": list(policies), **blocks}
    path.write_text(yaml.safe_dump(block))
    return path


@pytest.mark.long
def test_a_twin_is_fed_its_trace_stops_when_told_and_goes_on(tmp_path: Path) -> None:
    scenario(tmp_path, ["rolling_max", "last_value"])
    table = tmp_path / "now.csv"
    with serving(tmp_path, "--speed", "3000", "--allocations", str(table)) as served:
        assert served.ask("healthz") == {"status": "ok"}
        before = served.until(5)
        assert before["samples"]["taken"] >= 5 * 3
        assert before["policies"] == ["rolling_max", "last_value"]
        served.stop()
    assert table.read_text().startswith("policy,interval,time,link,requested_mbps,")
    lines = [json.loads(line) for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    with serving(tmp_path, "--speed", "3000") as served:
        after = served.until(before["interval"] + 3)
        # Nothing was missed while it was down: its clock stood still with it.
        assert after["samples"]["missing"] == 0
        decided = served.ask(f"decisions?since={before['interval'] - 2}")["decisions"]
        assert [each["interval"] for each in decided][:3] == [
            before["interval"] - 2 + k for k in range(3)
        ]
        served.stop()


@pytest.mark.long
def test_a_policy_that_hangs_costs_one_tick_and_falls_back(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(
        "import numpy as np\nfrom twin import Policy\n\n\nclass Hangs(Policy):\n"
        '    """Hangs at its third decision."""\n\n    decided = 0\n\n'
        "    def allocate(self, observation):\n        self.decided += 1\n"
        "        while self.decided == 3:\n            pass\n"
        "        return observation.demand_mbps[-1] * 0 + 7.0\n"
    )
    scenario(
        tmp_path, ["hangs"],
        fallback={"use": "rolling_max", "after": 5, "time_limit": "300ms"},
    )  # fmt: skip
    with serving(tmp_path, "--speed", "3000") as served:
        served.until(5)
        decided = served.ask("decisions?since=0")["decisions"]
        asked = [each["requested_mbps"]["link-0"] for each in decided]
        assert asked[:2] == [7.0, 7.0]
        assert asked[2] > 50
        assert asked[3:5] == [7.0, 7.0]
        log = served.ask("state")["log"]
        assert [(each["kind"], each["name"]) for each in log][:1] == [("fallback", "hangs")]
        served.stop()


@pytest.mark.parametrize("dated", [True, False])
def test_by_the_clock_of_the_data_the_live_begins_where_the_trace_ends(
    tmp_path: Path, dated: bool
) -> None:
    path = scenario(tmp_path, ["last_value"])
    if not dated:
        path.write_text(path.read_text().replace("  starts: 2026-01-01T00:00\n", ""))
    else:
        path.write_text(path.read_text().replace("2026-01-01", "2004-11-19"))
    with serving(tmp_path, "--clock", "data") as served:
        lines = ["time,link,internet"]
        for k in range(3):
            # Seconds from the first sample, as in the trace's own file, where there are no dates.
            at = (HISTORY + 60 + k) * 300
            time = str(pd.Timestamp("2004-11-19") + pd.Timedelta(seconds=at)) if dated else at
            lines += [f"{time},link-{i},{10 + i}" for i in range(3)]
        # What one link is ahead of the others waits for them.
        for first in (True, False):
            some = [lines[0], *(each for each in lines[1:] if (",link-0," in each) == first)]
            said = served.ask("telemetry", "\n".join(some).encode(), Content_Type="text/csv")
            assert said["samples"] == {"taken": 3 if first else 6}
        state = served.until(3)
        assert state["links"][2]["demand_mbps"] == 12
        served.stop()


def test_with_tokens_nothing_is_told_without_one(tmp_path: Path) -> None:
    scenario(tmp_path, ["last_value"])
    tokens = tmp_path / "tokens"
    tokens.write_text(f"me read {SECRET}\n")
    tokens.chmod(0o600)
    with serving(tmp_path, "--speed", "1", "--host", "0.0.0.0", "--tokens", str(tokens)) as served:
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        served.url = url
        with pytest.raises(urllib.error.HTTPError, match="401"):
            served.ask("state")
        assert served.ask("state", Authorization=f"Bearer {SECRET}")["scenario"] == "served"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            served.ask("telemetry", b"x", Authorization=f"Bearer {SECRET}", Content_Type="text/csv")
        served.stop()
    assert SECRET not in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"],
         "--host: '0.0.0.0' can be reached by others, and without tokens they may do anything; "
         "name a file of tokens with --tokens FILE, or listen on 127.0.0.1"),
        (["--clock", "moon"], "--clock: must be 'wall' or 'data', not 'moon'"),
        (["--clock", "data", "--speed", "2"],
         "--clock: does not go with --speed, which has a clock of its own"),
        (["--tokens", "none"], "none: --tokens: cannot be read: No such file or directory"),
        (["--webhook", "x"], "--webhook: must be an address of http or https; such as "
         "https://example.org/allocations"),
        (["--allocations", "/none/x.csv"], "--allocations: is in a folder that is not there"),
        (["--host", "192.0.2.1.5", "--tokens", "TOKENS"],
         "--host: '192.0.2.1.5' is no address of this machine"),
        (["--port", "99999"], "twin serve: --port: must be at most 65535"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_told_before_anything_is_written(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "TOKENS").write_text(f"me read {SECRET}\n")
    (tmp_path / "TOKENS").chmod(0o600)
    assert call(["serve", "baseline", *options]) == 2
    assert capsys.readouterr().err == said + "\n"
    assert [path.name for path in tmp_path.iterdir()] == ["TOKENS"]


def test_without_the_extra_it_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.cli.serve.find_spec", lambda name: None if name[0] == "u" else name)
    assert call(["serve", "baseline"]) == 2
    assert capsys.readouterr().err == "twin serve: needs uvicorn; pip install 'twin[live]'\n"
