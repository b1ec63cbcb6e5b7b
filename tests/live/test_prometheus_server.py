"""A real Prometheus beside a twin: it scrapes the twin's metrics, and writes to it.

Runs where the program `prometheus` is found (or named by PROMETHEUS), as in Debian's package.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_serve import SECRET, Served, scenario, serving

PROMETHEUS = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus (apt-get install prometheus)"),
]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def prometheus(
    folder: Path, settings: dict[str, Any], *options: str, port: int | None = None
) -> Iterator[str]:
    assert PROMETHEUS is not None
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{port or free_port()}"
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS, *options, f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait()


def until(url: str, query: str) -> list[dict[str, Any]]:
    """Return the series of a query once there are any."""
    for _ in range(240):
        asked = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
            if found:
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.25)
    raise AssertionError(f"nothing came of {query}")


def targets(served: Served, token: Path) -> dict[str, Any]:
    netloc = urllib.parse.urlsplit(served.url).netloc
    held = {"type": "Bearer", "credentials_file": str(token)}
    return {"static_configs": [{"targets": [netloc]}], "authorization": held}


def test_it_scrapes_the_twin_and_writes_to_it(tmp_path: Path) -> None:
    scenario(tmp_path, ["last_value"], telemetry={"keep": "3650d"})
    tokens, token = tmp_path / "tokens", tmp_path / "token"
    tokens.write_text(f"prometheus admin {SECRET}\n")
    tokens.chmod(0o600)
    token.write_text(SECRET)
    with serving(tmp_path, "--tokens", str(tokens)) as served:
        scraped = {"job_name": "twin", "scrape_interval": "1s", **targets(served, token)}
        rules = tmp_path / "rules.yml"
        # Series as a collector of a network has them: a label for each link.
        links = [f"link-{i}" for i in range(3)]
        records = [
            {"record": "traffic_mbps", "expr": f"vector({100 + i})", "labels": {"link": link}}
            for i, link in enumerate(links)
        ]
        group = {"name": "traffic", "interval": "1s", "rules": records}
        rules.write_text(yaml.safe_dump({"groups": [group]}))
        kept = [
            {"source_labels": ["__name__"], "regex": "traffic_mbps", "action": "keep"},
        ]
        written = {
            "url": f"{served.url}api/v1/write",
            "authorization": {"type": "Bearer", "credentials_file": str(token)},
            "write_relabel_configs": kept,
            "queue_config": {"batch_send_deadline": "1s"},
        }
        settings = {
            "global": {"evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [scraped],
            "remote_write": [written],
        }
        with prometheus(tmp_path, settings) as url:
            assert until(url, 'twin_ready{job="twin"} == 1')
            lag = until(url, "twin_lag_seconds")
            assert 0 <= float(lag[0]["value"][1]) < 600
            # What it wrote, the twin counts, and Prometheus scrapes that.
            taken = until(url, 'twin_samples_total{outcome="taken"} >= 3')
            assert float(taken[0]["value"][1]) >= 3
            assert until(url, 'twin_http_requests_total{path="/api/v1/write",status="204"} >= 1')
            # All of it is told in the form that Prometheus wants.
            assert until(url, 'up{job="twin"} == 1')
        state = served.ask("state", Authorization=f"Bearer {SECRET}")
        assert state["samples"].get("unknown_link", 0) == 0
        assert state["waiting"] >= 3
        served.stop()
    assert SECRET not in (tmp_path / "log.txt").read_text()
