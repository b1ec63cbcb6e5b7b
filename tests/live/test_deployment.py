"""Files for operators: what they name is there."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT
from serving import running

from twin.cli.main import call
from twin.cli.serve import serve

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


def test_the_image_has_what_the_package_is_built_from_and_its_paths_agree() -> None:
    text = (LIVE / "Dockerfile").read_text().replace("\\\n", " ")
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE)
    sources = {name for line in copied for name in line.split()}
    assert all((ROOT / name).exists() for name in sources)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    facts = project["project"]
    needed = {*wheel["packages"], *wheel["force-include"], facts["readme"], *facts["license-files"]}
    assert needed | {"pyproject.toml"} <= sources
    assert "live" in facts["optional-dependencies"]
    assert "'.[live]'" in text
    state = re.search(r'"--state", "(\S+)"', text)
    assert state is not None
    for line in (f"VOLUME {state[1]}\n", f"WORKDIR {state[1]}\n", f"-m 700 {state[1]}\n"):
        assert line in text
    # Who installs there starts it from there, and what is asked for its health answers to all.
    entry = re.search(r'ENTRYPOINT \["(\S+)/bin/twin", "serve"', text)
    assert entry is not None
    assert f"COPY --from=build {entry[1]} {entry[1]}\n" in text
    assert f"python -m venv {entry[1]} " in text
    assert f"EXPOSE {_default_port()}\n" in text
    assert f"127.0.0.1:{_default_port()}/healthz" in text


def test_the_unit_keeps_its_state_where_systemd_makes_the_folder() -> None:
    text = (LIVE / "twin@.service").read_text()
    (command,) = _commands("twin@.service")
    folder = re.search(r"^StateDirectory=(\S+)$", text, re.MULTILINE)
    assert folder is not None
    assert f"--state /var/lib/{folder[1]}" in command
    assert f"Environment=PORT={_default_port()} " in text
    assert "--port ${PORT}" in command


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd (systemd-analyze)")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = (LIVE / "twin@.service").read_text()
    assert "ExecStart=/opt/twin/bin/twin " in text
    unit = tmp_path / "twin@.service"
    # Nothing is installed there on this machine.
    unit.write_text(text.replace("/opt/twin/bin/twin", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "twin@net.service")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    about_it = [line for line in done.stderr.splitlines() if "twin" in line]
    assert (about_it, done.returncode) == ([], 0)


def _default_port() -> int:
    port = inspect.signature(serve).parameters["port"].default
    assert isinstance(port, int)
    return port


def _commands(name: str) -> list[str]:
    text = (LIVE / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith(("ExecStart", "ENTRYPOINT"))]
