"""Two twins that share the links of a network, behind the proxy that the documentation shows.

Runs where the program `nginx` is found, as in Debian's package.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from conftest import ROOT
from fed import HISTORY, trace
from test_prometheus_server import free_port
from test_serve import Served, serving

from twin.demand.write import write_csv

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(NGINX is None, reason="no nginx (apt-get install nginx-light)"),
]
SHARDS = {"north": ("link-0", "link-1"), "south": ("link-2",)}


@contextmanager
def proxy(folder: Path, ports: list[int]) -> Iterator[str]:
    """The documented proxy at a free port, in front of these ports."""
    assert NGINX is not None
    here = free_port()
    text = (ROOT / "docs" / "live" / "nginx.conf").read_text()
    for stated, port in zip((8080, 8765, 8766), (here, *ports), strict=True):
        assert f"127.0.0.1:{stated}" in text
        text = text.replace(f"127.0.0.1:{stated}", f"127.0.0.1:{port}")
    # What it writes by itself is not to be in the system's folders.
    kept = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("access_log off;", f"access_log off;\n{kept}")
    config = folder / "nginx.conf"
    config.write_text(f"pid {folder / 'nginx.pid'};\ndaemon off;\n{text}")
    log = folder / "nginx.log"
    process = subprocess.Popen([NGINX, "-e", str(log), "-c", str(config)], stderr=subprocess.PIPE)
    try:
        for _ in range(200):
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{here}/", timeout=5)
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{here}/"
    finally:
        process.terminate()
        process.communicate()


def scenario(folder: Path, links: tuple[str, ...]) -> None:
    whole = trace()
    columns = [whole.links.index(name) for name in links]
    folder.mkdir()
    write_csv(
        folder / "trace.csv", links,
        {kpi: values[:, columns] for kpi, values in whole.kpis.items()}, whole.tick_s,
    )  # fmt: skip
    demand = {
        "source": "csv", "path": "trace.csv", "starts": "2026-01-01T00:00",
        "train": (HISTORY + 0.5) / (HISTORY + 60),
    }  # fmt: skip
    block = {"name": folder.name, "demand": demand, "policies": ["rolling_max", "last_value"]}
    (folder / "scenario.yaml").write_text(yaml.safe_dump(block))


def test_each_link_is_with_one_twin_and_all_are_behind_one_address(tmp_path: Path) -> None:
    for name, links in SHARDS.items():
        scenario(tmp_path / name, links)
    fed = ("--speed", "3000")
    with serving(tmp_path / "north", *fed) as north, serving(tmp_path / "south", *fed) as south:
        ports = [urlsplit(each.url).port or 0 for each in (north, south)]
        with proxy(tmp_path, ports) as url:
            for name, links in SHARDS.items():
                shard = Served(north.process, f"{url}{name}/", tmp_path / "log.txt")
                state = shard.until(3)
                assert (state["scenario"], [each["link"] for each in state["links"]]) == (
                    name, list(links),
                )  # fmt: skip
                assert set(shard.ask("allocations")["allocated_mbps"]) == set(links)
                sample = f"time,link,internet\n{state['time']},{links[0]},5\n".encode()
                taken = shard.ask("telemetry", sample, Content_Type="text/csv")
                assert sum(taken["samples"].values()) == 1
                page = urllib.request.urlopen(shard.url, timeout=10).read()
                assert b"<title>twin</title>" in page
                # The page's own requests, and the events as they come.
                own = {"Origin": url.rstrip("/"), "Sec_Fetch_Site": "same-origin"}
                assert shard.ask("healthz", **own) == {"status": "ok"}
                with urllib.request.urlopen(f"{shard.url}events", timeout=10) as stream:
                    begun = time.perf_counter()
                    lines = [stream.readline() for _ in range(6)]
                assert time.perf_counter() - begun < 5
                events = [line for line in lines if line.startswith(b"data: ")]
                assert json.loads(events[0][6:])["interval"] > 0
            with pytest.raises(urllib.error.HTTPError, match="413"):
                shard.ask("telemetry", b"x" * 17_000_000, Content_Type="text/csv")
        for each in (north, south):
            each.stop()
