"""What a policy does to the run that it is part of: an error that names it, or the fallback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import misbehaving, requested

import twin


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("never")


class _Escape(KeyboardInterrupt):
    pass


def _raises(error: BaseException) -> Any:
    raise error


MISDEEDS: dict[str, tuple[Any, str]] = {
    "exit": (lambda: _raises(SystemExit(0)), "SystemExit: 0"),
    "generator exit": (lambda: _raises(GeneratorExit()), "GeneratorExit"),
    "interrupt": (lambda: _raises(_Escape()), "_Escape"),
    "base exception": (lambda: _raises(BaseException("all")), "BaseException: all"),
    "unspeakable": (lambda: _raises(_Unspeakable()), "_Unspeakable"),
    "directory": (lambda: os.chdir("/"), "changed the working directory"),
    "output": (lambda: sys.stdout.close(), "closed or replaced the standard output"),
    "no output": (lambda: setattr(sys, "stdout", None), "closed or replaced the standard output"),
    "errors": (lambda: setattr(sys, "stderr", None), "replaced the standard error stream"),
    "long double": (lambda: np.full(2, np.longdouble("1e4000")), "asked for inf Mbit/s on link"),
    "objects": (lambda: np.array([1.0, None], dtype=object), "answered no numbers"),
    "complex": (lambda: np.ones(2, dtype=complex), "answered complex numbers"),
    "masked": (lambda: np.ma.array([1.0, 2.0], mask=[0, 1]), "answered a masked array"),
    "negative": (lambda: [-1, 2], "asked for -1.0 Mbit/s on link"),
}


@pytest.mark.parametrize("name", MISDEEDS)
def test_a_misdeed_ends_in_an_error_that_names_policy_and_interval(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deed, reason = MISDEEDS[name]
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "output").open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(twin.RunError) as caught:
            requested([misbehaving(deed)])
        print("still there")
        sys.stdout.close()
    assert str(caught.value).startswith("policy Misbehaving: tick 3 (15min): ")
    assert reason in str(caught.value)
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("name", MISDEEDS)
def test_the_fallback_decides_after_a_misdeed(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "output").open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        scenario = {"policies": [misbehaving(MISDEEDS[name][0])],
                    "fallback": {"use": "last_value", "after": 3},
                    "demand": {"train": 0.5}, "replay": {"duration": "50min"}}  # fmt: skip
        result = twin.run(scenario, overrides={"demand.facilities": 2, "demand.length": "2d"})
        sys.stdout.close()
    asked = result.recording.lanes[0].requested
    assert (asked[[0, 1, 2, 4, 5]] == 5).all()
    assert (asked[3] != 5).all()


def test_the_command_says_what_a_policy_did_to_its_output(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import sys\nfrom twin import Policy\n\nclass Mine(Policy):\n"
        "    def allocate(self, observation):\n"
        "        sys.stdout.close()\n        sys.stderr.close()\n"
        "        return observation.last_known_mbps\n"
    )
    (tmp_path / "closing.yaml").write_text(
        "demand: {facilities: 2, length: 2d}\nreplay: {duration: 1h}\npolicies: [./mine.py]\n"
        "fallback: {use: last_value, after: 3}\n"
    )
    call = [sys.executable, "-m", "twin", "run", "closing.yaml", "--no-report"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Failed: policy mine: tick 0 (0s): closed or replaced the standard output" in done.stdout
    assert "Written to out/closing/" in done.stdout


def test_a_real_interrupt_is_not_a_failure_of_the_policy() -> None:
    with pytest.raises(KeyboardInterrupt):
        requested([misbehaving(lambda: _raises(KeyboardInterrupt()))])


@pytest.mark.parametrize("swallows", [False, True])
def test_a_time_limit_interrupts_a_policy_that_never_ends(tmp_path: Path, swallows: bool) -> None:
    def loop() -> None:
        begin, tries = time.perf_counter(), 0
        while time.perf_counter() < begin + 30 and tries < 3:
            try:
                while time.perf_counter() < begin + 30:
                    pass
            except BaseException:
                tries += 1
                if not swallows:
                    raise

    scenario = {"policies": [misbehaving(loop)], "demand": {"train": 0.5},
                "fallback": {"use": "last_value", "after": 3, "time_limit": "0.1s"},
                "replay": {"duration": "50min"}}  # fmt: skip
    begin = time.perf_counter()
    result = twin.run(scenario, overrides={"demand.facilities": 2, "demand.length": "2d"})
    assert time.perf_counter() - begin < 20
    details = result.events["detail"].tolist()
    assert any("took longer than 0.1s" in detail for detail in details)
