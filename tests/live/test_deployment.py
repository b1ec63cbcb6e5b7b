"""Files for operators: what they name is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import ROOT
from serving import running

from twin.cli.main import call

LIVE = ROOT / "docs" / "live"


def test_the_grafana_dashboard_asks_for_metrics_that_there_are(tmp_path: Path) -> None:
    text = (LIVE / "grafana.json").read_text()
    asked = set(re.findall(r"\btwin_[a-z_]+", text))
    with running(tmp_path / "state") as server:
        server.close_intervals(1)
        there = set(re.findall(r"^# TYPE (\S+)", server.client.get("/metrics").text, re.MULTILINE))
    suffixes = ("_bucket", "_count", "_sum")
    known = there | {name + suffix for name in there for suffix in suffixes}
    assert asked - known == set()
    assert len(asked) > 8
    panels = json.loads(text)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_unit_and_the_image_start_what_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(["serve", "--help"]) == 0
    shown = capsys.readouterr().out
    for name in ("twin@.service", "Dockerfile"):
        options = set(re.findall(r"(?<=\s)--[a-z]+(?=\s)", "\n".join(_commands(name))))
        options |= set(re.findall(r'"(--[a-z]+)"', "\n".join(_commands(name))))
        assert options >= {"--host", "--state"}
        assert [option for option in options - {"--help"} if option not in shown] == []


def _commands(name: str) -> list[str]:
    text = (LIVE / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith(("ExecStart", "ENTRYPOINT"))]
