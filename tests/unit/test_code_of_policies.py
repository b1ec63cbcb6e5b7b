"""When the code of a user's policy is run, and when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import twin
from twin.cli.main import call
from twin.policy.load import load, unloaded

POLICY = """
from pathlib import Path

import numpy as np
from twin import Policy

with Path({log!r}).open("a") as log:
    log.write("ran\\n")


class Mine(Policy):
    margin: float = 0.1

    def allocate(self, observation):
        return observation.last_known_mbps * (1 + self.margin)
"""


class Files:
    """A scenario and a sweep with a policy that says when it is run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.scenario, self.sweep = folder / "mine.yaml", folder / "sweep.yaml"
        (folder / "mine.py").write_text(POLICY.format(log=str(self.log)))
        self.write(["static_p95", {"use": "./mine.py", "margin": 0.2}])
        sweep = {"scenario": "./mine.yaml", "grid": {"policies.1.margin": [0.1, 0.3]}}
        self.sweep.write_text(yaml.safe_dump(sweep))

    def write(self, policies: list[object]) -> None:
        scenario = {"demand": {"facilities": 2, "length": "4d"}, "replay": {"duration": "2h"}}
        self.scenario.write_text(yaml.safe_dump({**scenario, "policies": policies}))

    @property
    def ran(self) -> bool:
        """Whether the policy was run since the last time."""
        ran = self.log.exists()
        self.log.unlink(missing_ok=True)
        return ran


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_validate_runs_the_code_of_policies_unless_told_not_to(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (files.scenario, files.sweep):
        assert call(["validate", "--no-policies", str(file)]) == 0
        assert not files.ran
        said = capsys.readouterr().out
        assert f"not checked: parameters and models of {files.folder / 'mine.py'}" in said
    assert call(["validate", str(files.scenario)]) == 0
    assert files.ran
    assert "not checked" not in capsys.readouterr().out


def test_what_can_be_checked_without_running_policies_is_checked(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(["./mine.py", "static_p9", {"use": "static_percentile", "q": 101}, "./no.py"])
    assert call(["validate", "--no-policies", str(files.scenario)]) == 2
    said = capsys.readouterr().err
    for wrong in ("no policy 'static_p9'", "q: must be", "no such file: './no.py'"):
        assert wrong in said
    (files.folder / "mine.py").write_text("from twin import Policy\n\nclass Mine(Policy:\n")
    files.write(["./mine.py"])
    assert call(["validate", "--no-policies", str(files.scenario)]) == 2
    assert "mine.py:3: cannot be loaded: SyntaxError" in capsys.readouterr().err


def test_a_trace_is_described_without_running_policies(files: Files) -> None:
    assert call(["data", "info", str(files.scenario)]) == 0
    assert not files.ran


def test_the_status_of_a_batch_can_be_told_without_running_policies(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(files.folder / "out")
    assert call(["batch", str(files.sweep), "--out", out, "--workers", "0"]) == 0
    files.log.unlink(missing_ok=True)
    capsys.readouterr()
    code = ["batch", str(files.sweep), "--out", out, "--status"]
    assert call([*code, "--no-policies"]) == 0
    assert not files.ran
    said = capsys.readouterr().out
    assert "2 done, 0 failed, 0 to go" in said
    assert "not checked: parameters and models of" in said
    assert said.rstrip().endswith("and which runs belong to the sweep")
    assert call(code) == 0
    assert "not checked" not in capsys.readouterr().out
    assert call(["batch", str(files.sweep), "--no-policies"]) == 2
    assert "goes with --status alone" in capsys.readouterr().err


def test_a_policy_that_was_not_run_takes_anything_and_decides_nothing(files: Files) -> None:
    source = unloaded(files.folder / "mine.py")
    assert not files.ran
    assert source.digest == load(files.folder / "mine.py").digest
    policy = source.make({"whatever": 1})
    assert source.models(policy, ("internet",)) == ()
    with pytest.raises(NotImplementedError):
        policy.allocate(None)  # type: ignore[arg-type]


FAULTS = {
    "class body": "class Mine(Policy):\n    raise {error}\n",
    "make": "class Mine(Policy):\n    def __init__(self, **p):\n        raise {error}\n",
    "models": "class Mine(Policy):\n    def models(self, kpis):\n        raise {error}\n",
}


@pytest.mark.parametrize("where", FAULTS)
@pytest.mark.parametrize("error", ["SystemExit(0)", "GeneratorExit()", "Escape()", "Silent()"])
def test_a_policy_that_raises_before_the_run_is_bad_input(
    files: Files, capsys: pytest.CaptureFixture[str], where: str, error: str
) -> None:
    head = (
        "from twin import Policy\n\nclass Escape(KeyboardInterrupt):\n    pass\n\n"
        "class Silent(Exception):\n    def __str__(self):\n        raise self\n\n"
    )
    (files.folder / "mine.py").write_text(head + FAULTS[where].format(error=error))
    files.write(["./mine.py"])
    assert call(["run", str(files.scenario), "--out", str(files.folder / "out")]) == 2
    said = capsys.readouterr().err
    assert "mine.py:" in said
    assert error.split("(", maxsplit=1)[0] in said
    assert "Traceback" not in said
    assert not (files.folder / "out").exists()


def test_a_run_that_a_policy_ends_fails_alone(files: Files) -> None:
    text = (files.folder / "mine.py").read_text()
    (files.folder / "mine.py").write_text(
        text.replace("        return", "        if self.margin > 0.2:\n"
                     "            import os\n            os._exit(0)\n        return")
    )  # fmt: skip
    runs = twin.batch(files.sweep, workers=2, retries=0).runs
    status = runs.groupby("policies.1.margin")["status"].first()
    assert status.to_dict() == {0.1: "done", 0.3: "failed"}
    (error,) = set(runs.loc[runs["status"] == "failed", "error"])
    assert error == "its worker died 1 times"


def test_a_policy_with_a_module_beside_it_is_told_what_to_do(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    (files.folder / "helpers.py").write_text("MARGIN = 0.2\n")
    policy = (files.folder / "mine.py").read_text()
    (files.folder / "mine.py").write_text(f"from helpers import MARGIN\n{policy}")
    assert call(["validate", str(files.scenario)]) == 2
    assert capsys.readouterr().err == (
        f"{files.folder / 'mine.py'}:1: cannot be loaded: ModuleNotFoundError: No module named "
        "'helpers'; a policy is one file, known by its digest: move what it needs of 'helpers' "
        "there, or install that as a package\n"
    )
