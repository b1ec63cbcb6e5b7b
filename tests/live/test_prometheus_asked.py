"""A real Prometheus server that a twin asks: what its answers mean, and what becomes of outages.

Runs where the program `prometheus` is found (or named by PROMETHEUS), as in Debian's package.
Samples are written to it with the times that a test needs.
"""

from __future__ import annotations

import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fed import scenario
from remote_writing import series, snappy
from test_prometheus_server import PROMETHEUS, free_port, prometheus
from test_serve import scenario as written
from test_serve import serving

from twin.live.prometheus import PrometheusPull, PullError

pytestmark = [
    pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus (apt-get install prometheus)"),
]
STALE = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]
"""What Prometheus writes where a series has ended."""


def write(url: str, *made: bytes) -> None:
    request = urllib.request.Request(f"{url}/api/v1/write", snappy(b"".join(made)))
    request.add_header("Content-Type", "application/x-protobuf")
    request.add_header("X-Prometheus-Remote-Write-Version", "0.1.0")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status in (200, 204)


def ready(url: str) -> None:
    for _ in range(400):
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=10):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError("Prometheus is not ready")


@pytest.fixture(scope="module")
def begins() -> float:
    """A full hour ago, so that instants are on every grid of these tests."""
    return (time.time() - 3_000) // 600 * 600


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, begins: float) -> Iterator[str]:
    """A server that has half an hour of counters and gauges, a sample every 15 s."""
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, {}, "--web.enable-remote-write-receiver") as there:
        ready(there)
        times = begins + np.arange(0, 1_801, 15)
        # 80 Mbit/s, as octets that grow; the other has no samples for ten minutes, and its
        # counter begins again after them, as that of a router that was restarted.
        steady = [(t, 10e6 * (t - begins)) for t in times]
        absent = [(t, 5e6 * (t - begins)) for t in times if t < begins + 600]
        absent += [(t, 5e6 * (t - begins - 1_200)) for t in times if t >= begins + 1_200]
        gauge = [(t, 7.0) for t in times if t <= begins + 600]
        write(
            there,
            series({"__name__": "octets", "link": "link-0", "router": "a"}, steady),
            series({"__name__": "octets", "link": "link-1", "router": "a"}, absent),
            series({"__name__": "mbps", "link": "link-0"}, gauge),
            series({"__name__": "mbps", "link": "link-1"}, [*gauge, (begins + 615, STALE)]),
            series({"__name__": "unnamed"}, gauge),
        )
        yield there


def asked(
    url: str, query: str, since: float, until: float, **keys: object
) -> dict[str, dict[float, float]]:
    """Return what each link is said to have carried, by the times of the samples."""
    telemetry = {"prometheus": url, "query": query, **keys}
    pull = PrometheusPull(scenario(["last_value"], telemetry=telemetry))
    samples, _ = pull.ask(since, until)
    told: dict[str, dict[float, float]] = {}
    for link, ms, value in zip(samples.link, samples.time_ms, samples.values, strict=True):
        told.setdefault(samples.links[link], {})[ms / 1000] = value
    return told


def test_rates_are_of_the_time_before_and_absent_where_nothing_came(
    url: str, begins: float
) -> None:
    rate = "sum by (link) (rate(octets[5m])) * 8 / 1e6"
    told = asked(url, rate, begins + 300, begins + 1_800)
    assert set(told) == {"link-0", "link-1"}
    assert sorted(told["link-0"]) == [begins + 300 * k for k in range(6)]
    assert list(told["link-0"].values()) == pytest.approx([80] * 6, rel=1e-6)
    # Nothing is made up where nothing was measured, nor where the counter began again.
    assert sorted(told["link-1"]) == [begins + 300 * k for k in (0, 1, 4, 5)]
    assert list(told["link-1"].values())[-1] == pytest.approx(40, rel=1e-6)
    assert all(0 <= value <= 40.001 for value in told["link-1"].values())


def test_one_instant_and_another_step_than_the_tick(url: str, begins: float) -> None:
    rate = "rate(octets[1m]) * 8 / 1e6"
    one = asked(url, rate, begins + 600, begins + 899)
    assert one["link-0"] == {begins + 300: pytest.approx(80)}
    fine = asked(url, rate, begins + 601, begins + 900, every="1min")
    assert sorted(fine["link-0"]) == [begins + 600 + 60 * k for k in range(5)]


def test_a_gauge_stays_for_five_minutes_unless_its_end_was_written(url: str, begins: float) -> None:
    told = asked(url, "mbps", begins, begins + 1_800, every="1min")
    last = {link: max(times) + 60 - begins for link, times in told.items()}
    # So far Prometheus looks back for the last value (version 3 leaves the end of it out); a target
    # that is gone ends its series.
    assert last["link-1"] == 600
    assert 840 <= last["link-0"] <= 900


def test_labels_name_the_links(url: str, begins: float) -> None:
    assert set(asked(url, "octets", begins, begins + 300, link="router")) == {"a"}
    assert set(asked(url, "unnamed", begins, begins + 300)) == {"unnamed"}
    assert set(asked(url, "sum(octets)", begins, begins + 300)) == {"a series without labels"}
    read = asked(url, "octets", begins, begins + 300, kind="counter")
    assert read["link-0"] == {begins: 0.0, begins + 300: 3e9}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("octets[5m]", "Prometheus: .*invalid expression type"),
        ("sum(", "Prometheus: .*parse error: unclosed left parenthesis"),
        ('"text"', "Prometheus: .*invalid expression type"),
    ],
)
def test_a_query_that_gives_no_series_is_told(
    url: str, begins: float, query: str, said: str
) -> None:
    with pytest.raises(PullError, match=said):
        asked(url, query, begins, begins + 600)


@pytest.mark.long
def test_a_twin_goes_on_after_its_prometheus_was_down(tmp_path: Path) -> None:
    """A sample comes each second: those of the outage are asked for when the server is back."""
    port = free_port()
    query = "octets_mbps"
    written(
        tmp_path, ["last_value"], tick="5min",
        telemetry={"prometheus": f"http://127.0.0.1:{port}", "query": query, "every": "1s",
                   "keep": "3650d"},
    )  # fmt: skip
    receiver = "--web.enable-remote-write-receiver"

    def send(url: str, first: int, stop: int) -> None:
        write(url, *(
            series({"__name__": query, "link": f"link-{i}"},
                   [(float(t), 100.0 + i) for t in range(first, stop)])
            for i in range(3)
        ))  # fmt: skip

    with serving(tmp_path) as served:
        with prometheus(tmp_path, {}, receiver, port=port) as url:
            ready(url)
            first = int(time.time())
            send(url, first, first + 8)
            while served.ask("state")["samples"].get("taken", 0) < 9:
                time.sleep(0.2)
        down = served.ask("state")["samples"]["taken"]
        time.sleep(3)
        assert served.ask("state")["samples"]["taken"] <= down + 9
        with prometheus(tmp_path, {}, receiver, port=port) as url:
            ready(url)
            now = int(time.time())
            send(url, first + 8, now + 3)
            for _ in range(100):
                samples = served.ask("state")["samples"]
                if samples["taken"] >= 3 * (now - first):
                    break
                time.sleep(0.2)
        # Each second of each link came once, also those of the outage.
        assert samples["taken"] >= 3 * (now - first)
        assert samples.get("duplicate", 0) == 0
        assert served.ask("healthz") == {"status": "ok"}
        served.stop()
    log = (tmp_path / "log.txt").read_text()
    assert "Prometheus does not answer: Connection refused" in log
