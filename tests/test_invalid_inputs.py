"""Invalid inputs: what a user reads, word for word, and that nothing is left behind.

The table is ``invalid/cases.yaml``: a command line, its exit code and the whole of stderr, as seen
from the folder ``invalid``. Each case runs in a copy of that folder. ``bug`` says what happens
instead; such a case is expected to fail until it is mended, and then the line comes out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from twin.cli.main import call
from twin.policy.load import load

HERE = Path(__file__).resolve().parent / "invalid"
ROOT = HERE.parents[1]
SHIPPED = ROOT / "models"

Case = dict[str, Any]
CASES: dict[str, list[Case]] = yaml.safe_load((HERE / "cases.yaml").read_text(encoding="utf-8"))


# Damage: what a case needs beyond its files


def _copy(change: Callable[[dict[str, Any]], Any] | None = None) -> None:
    """Copy a shipped model, with another card."""
    shutil.copy(SHIPPED / "bilstm.onnx", "models/copy.onnx")
    card = json.loads((SHIPPED / "bilstm.json").read_text())
    if change is not None:
        change(card)
    Path("models/copy.json").write_text(json.dumps(card, indent=2))


def _rewrite(change: Callable[[bytes], bytes], *, digest: bool = False) -> None:
    """Copy a shipped model, with other bytes; `digest` writes theirs into the card."""
    _copy()
    model, card = Path("models/copy.onnx"), Path("models/copy.json")
    data = change(model.read_bytes())
    model.write_bytes(data)
    if digest:
        found = json.loads(card.read_text()) | {"sha256": hashlib.sha256(data).hexdigest()}
        card.write_text(json.dumps(found))


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _of_another_file() -> None:
    _copy()
    shutil.copy(SHIPPED / "bilstm_traffic.json", "models/copy.json")


def _a_run_there() -> None:
    Path("there").mkdir()
    facts = {"status": "complete", "versions": {"twin": "1"}, "files": {}}
    Path("there/manifest.json").write_text(json.dumps(facts))


def _a_manifest_of_something_else_there() -> None:
    Path("there").mkdir()
    facts = {"manifest_version": 3, "name": "An extension", "files": ["trace.csv"]}
    Path("there/manifest.json").write_text(json.dumps(facts))
    Path("there/trace.csv").write_text("mine")


PREPARE: dict[str, Callable[[], Any]] = {
    "tampered_byte": lambda: _rewrite(_flip),
    "truncated": lambda: _rewrite(lambda data: data[: len(data) // 2]),
    "no_model_but_with_its_digest": lambda: _rewrite(lambda _: b"no model", digest=True),
    "card_of_another_file": _of_another_file,
    "card_without_a_key": lambda: _copy(lambda card: card.pop("window")),
    "card_with_an_unknown_key": lambda: _copy(lambda card: card.update(extra=1)),
    "card_of_another_format": lambda: _copy(lambda card: card.update(format=1)),
    "card_with_a_feature_unknown": lambda: _copy(
        lambda card: card.update(features=["internet", "humidity"])
    ),
    "card_with_a_feature_twice": lambda: _copy(
        lambda card: card.update(features=["internet", "internet"])
    ),
    "card_with_features_in_another_order": lambda: _copy(
        lambda card: card.update(features=["vpn", "internet"])
    ),
    "card_with_a_window_of_1": lambda: _copy(lambda card: card.update(window=1)),
    "card_with_a_window_of_20": lambda: _copy(
        lambda card: card.update(window=20, features=["internet"])
    ),
    "card_with_a_share_of_2": lambda: _copy(lambda card: card["normalisation"].update(local=2)),
    "card_with_nan": lambda: _copy(lambda card: card["normalisation"].update(clip=float("nan"))),
    "a_trace_there": lambda: shutil.copy("traces/good.csv", "trace.csv"),
    "a_folder_there": lambda: Path("folder.yaml").mkdir(),
    "a_run_there": _a_run_there,
    "a_manifest_of_something_else_there": _a_manifest_of_something_else_there,
}


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def _expected(case: Case) -> str:
    """Return the stderr that `case` states, with the digests of today's models."""
    text: str = case.get("stderr", "")
    if "<digest>" in text:
        stated = json.loads(Path("models/copy.json").read_text())["sha256"][:12]
        text = text.replace("<digest>", _digest("models/copy.onnx")).replace("<stated>", stated)
    if "<shape>" in text:
        card = json.loads((SHIPPED / "bilstm.json").read_text())
        depth = len(card["features"]) + len(card["normalisation"]["channels"])
        text = text.replace("<shape>", str([card["window"], depth]))
    return text


# Running a case


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of invalid inputs, which is the working directory."""
    copy = tmp_path / "invalid"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(copy)
    return copy


def _files(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


def _parameters() -> list[Any]:
    return [
        pytest.param(
            case,
            id=f"{group}: {case['id']}".replace(" ", "_"),
            marks=pytest.mark.xfail(strict=True, reason=case["bug"]) if "bug" in case else (),
        )
        for group, cases in CASES.items()
        for case in cases
    ]


@pytest.mark.parametrize("case", _parameters())
def test_says_what_is_wrong_and_writes_nothing(
    case: Case, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "prepare" in case:
        PREPARE[case["prepare"]]()
    before = _files(folder)
    try:
        code = call(shlex.split(case["run"]))
    except SystemExit as left:
        pytest.fail(f"the command left by itself, with {left.code!r}")
    said = capsys.readouterr()
    assert said.err.removesuffix("\n") == _expected(case).removesuffix("\n")
    assert code == case["exit"]
    assert "Traceback" not in said.out + said.err
    if code:
        assert _files(folder) == before


FROM_THE_SHELL = [
    "scenarios: several problems",
    "scenarios: unknown key in a surge",
    "traces: negative",
    "policies: allocate_nan",
    "models: tampered byte",
    "command lines: unknown option",
    "command lines: set of an unknown key",
]


@pytest.mark.parametrize("which", FROM_THE_SHELL, ids=lambda which: which.replace(" ", "_"))
def test_from_the_shell(which: str, folder: Path) -> None:
    group, name = which.split(": ", 1)
    case = next(case for case in CASES[group] if case["id"] == name)
    if "prepare" in case:
        PREPARE[case["prepare"]]()
    before = _files(folder)
    done = subprocess.run(
        [sys.executable, "-m", "twin", *shlex.split(case["run"])],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr.removesuffix("\n")) == (
        case["exit"],
        _expected(case).removesuffix("\n"),
    )
    assert _files(folder) == before


ANSWERS = """import numpy as np

from twin import Policy


class Mine(Policy):
    def allocate(self, observation):
        return {}
"""


def test_a_policy_is_the_one_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
    path = tmp_path / "mine.py"
    answers = []
    for answer in (1, 2):
        path.write_text(ANSWERS.format(answer))
        os.utime(path, (1_700_000_000, 1_700_000_000))
        observation: Any = None
        answers.append(load(path).policy().allocate(observation))
    assert answers == [1, 2]


def test_checking_leaves_no_bytecode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    Path("mine.py").write_text(ANSWERS.format("np.ones(2)"))
    Path("mine.yaml").write_text("demand: {facilities: 2, length: 2d}\npolicies: [mine]\n")
    assert call(["validate", "mine.yaml"]) == 0
    assert not list(folder.rglob("__pycache__"))


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    call([])
    said = capsys.readouterr()
    assert len((said.out + said.err).splitlines()) > 5


def test_every_file_is_a_case() -> None:
    text = (HERE / "cases.yaml").read_text(encoding="utf-8")
    for path in HERE.glob("*/*"):
        if path.stem != "good":
            assert path.stem in text, f"{path.name} is used by no case"


def test_ids_are_unique() -> None:
    names = [f"{group}: {case['id']}" for group, cases in CASES.items() for case in cases]
    assert len(names) == len(set(names))
