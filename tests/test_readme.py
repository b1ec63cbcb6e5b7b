"""What the README shows, run as it stands; what pages show that it points to is in test_guides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

import twin
from twin.cli.main import call

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(block)


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) < 150


def test_its_two_commands_stand_alone_on_their_lines() -> None:
    lines = [line.strip() for line in TEXT.splitlines()]
    assert lines.count("make demo") == lines.count("make test") == 1


def test_its_scenario_is_the_shipped_one() -> None:
    shown = yaml.safe_load(_block("yaml"))
    assert shown == yaml.safe_load((ROOT / "scenarios" / "surge.yaml").read_text())


def test_its_table_is_the_result_of_its_scenario(tmp_path: Path) -> None:
    (tmp_path / "surge-of-the-readme.yaml").write_text(_block("yaml"))
    summary = twin.run(tmp_path / "surge-of-the-readme.yaml").summary
    pooled = summary[summary["link"] == "all"]
    links = summary[summary["link"] != "all"]
    kept = links["sla_used_intervals"] <= links["sla_allowed_intervals"]
    within = kept.groupby(links["policy"]).sum()
    rows = [
        f"| `{row.policy}` | {row.over_provisioning_pct:.1f} | {100 * row.sla_violation_rate:.3f} "
        f"| {row.sla_violation_minutes:.0f} | {within[row.policy]} of 4 |"
        for row in pooled.itertuples()
    ]
    assert [line for line in TEXT.splitlines() if line in rows] == rows


def test_commands_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    text = "\n".join([TEXT, *pages])
    for command in set(re.findall(r"^    twin (data \w+|\w[\w-]*)", text, re.MULTILINE)):
        assert call([*command.split(), "--help"]) == 0, command


def test_its_error_message_is_the_real_one(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "scenarios" / "surge.yaml").read_text()
    Path("mine.yaml").write_text(text.replace("factor:", "factr:").split("\n", 1)[1])
    assert call(["validate", "mine.yaml"]) == 2
    told = capsys.readouterr().err.splitlines()
    shown = re.search(r"```\n(mine\.yaml:\d+: .*)\n```", TEXT)
    assert shown is not None
    assert shown.group(1) in told


def test_every_file_it_points_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)|`(docs/[^`]+)`", TEXT):
        assert (ROOT / next(part for part in target if part)).exists()
