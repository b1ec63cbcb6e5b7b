"""Where samples come from: a Prometheus server that is asked, counters, clocks."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from fed import HISTORY, TICK, feed, opened, rows_of, scenario, some, table, trace, zero

import twin
from twin import InputError
from twin.live.clock import TraceFeed
from twin.live.http.pulling import PullThread
from twin.live.living import LivingTwin
from twin.live.prometheus import PrometheusPull, PullError
from twin.live.replayed import replayed
from twin.live.samples import Samples


@contextmanager
def server(status: int, body: bytes) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A server that answers everything alike, and notes what it was asked."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}", asked
        finally:
            http.shutdown()
            thread.join()


def pull(url: str, **keys: object) -> PrometheusPull:
    telemetry = {"prometheus": url, "query": "sum by (link) (rate(octets[5m])) * 8", **keys}
    return PrometheusPull(scenario(["last_value"], telemetry=telemetry))


def answer(*series: dict[str, object]) -> bytes:
    data = {"resultType": "matrix", "result": list(series)}
    return json.dumps({"status": "success", "data": data}).encode()


def test_prometheus_is_asked_for_what_came_since() -> None:
    body = answer(
        {"metric": {"link": "link-0"}, "values": [[1200, "5.5"], [1500.0, "NaN"]]},
        {"metric": {"__name__": "vpn", "link": "link-1"}, "values": [[1200, "7"]]},
    )
    with server(200, body) as (url, asked):
        samples, reached = pull(url + "/").ask(901, 1799)
        assert reached == 1500
        assert samples.links == ("link-0", "link-1")
        # A rate looks back: it is of the five minutes before.
        assert samples.time_ms.tolist() == [900_000, 1_200_000, 900_000]
        assert [samples.kpis[i] for i in samples.kpi] == ["internet", "internet", "vpn"]
        assert pull(url, kind="counter").ask(901, 1799)[0].time_ms.tolist()[0] == 1_200_000
    assert asked[0] == {
        "query": ["sum by (link) (rate(octets[5m])) * 8"],
        "start": ["1200"], "end": ["1500"], "step": ["300"],
    }  # fmt: skip
    # What a long outage has left comes in parts, each of so many instants.
    with server(200, answer()) as (url, asked):
        asks = pull(url, every="10s")
        assert [asks.ask(since, 250_000)[1] for since in (0, 100_000, 200_000)] == [
            99_990, 199_990, 250_000,
        ]  # fmt: skip
        assert asks.ask(11, 19)[1] == 10
    assert [(ask["start"], ask["end"]) for ask in asked] == [
        (["0"], ["99990"]), (["100000"], ["199990"]), (["200000"], ["250000"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, b'{"status": "error", "error": "parse error"}', "Prometheus: parse error"),
        (503, b"gone", "Prometheus: Service Unavailable"),
        (200, b"<html>", "Prometheus: the answer is none of its API"),
        (200, b'{"status": "success", "data": {"resultType": "scalar"}}', "gives a scalar, no ser"),
        (200, answer({"metric": {}}), "Prometheus: the answer holds no series as its API has them"),
        (200, answer({"metric": {}, "values": [[1e300, "1"]]}), "the answer 1e\\+300 is no time"),
    ],
)
def test_what_prometheus_cannot_answer_is_said(status: int, body: bytes, message: str) -> None:
    with server(status, body) as (url, _), pytest.raises(PullError, match=message):
        pull(url).ask(0, 600)


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(PullError, match=r"Prometheus does not answer: .*refused"):
        pull("http://127.0.0.1:9").ask(0, 600)
    with pytest.raises(InputError, match="telemetry: names no Prometheus server to ask"):
        PrometheusPull(scenario(["last_value"]))
    with pytest.raises(InputError, match="must begin with http:// or https:// and hold no pass"):
        pull("file:///etc/passwd")
    with pytest.raises(InputError, match="telemetry: 'query' needs 'prometheus'"):
        scenario(["last_value"], telemetry={"query": "up"})


def test_no_other_server_is_asked_than_the_one_that_is_named() -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", other)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with server(200, answer()) as (other, asked), HTTPServer(("127.0.0.1", 0), Elsewhere) as http:
        thread = threading.Thread(target=http.handle_request)
        thread.start()
        with pytest.raises(PullError, match="Prometheus: Found"):
            pull(f"http://127.0.0.1:{http.server_port}").ask(0, 600)
        thread.join()
    assert asked == []


@contextmanager
def dripping(head: bytes) -> Iterator[str]:
    """A server that says a head at once, and then a byte now and then."""
    with socket.create_server(("127.0.0.1", 0)) as listens:

        def drip() -> None:
            talks, _ = listens.accept()
            with talks, suppress(OSError):
                talks.sendall(head)
                for _ in range(300):
                    talks.sendall(b" ")
                    time.sleep(0.02)

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listens.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    "head",
    [
        b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 503 Not now\r\nContent-Length: 1000000\r\n\r\n",
    ],
    ids=["no word", "a head", "a body", "a refusal"],
)  # fmt: skip
def test_an_answer_that_never_ends_is_given_up(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.live.prometheus._PATIENCE_S", 0.15)
    with dripping(head) as url:
        begun = time.perf_counter()
        with pytest.raises(PullError, match=r"Prometheus: no answer within 0\.15 s|illegal"):
            pull(url).ask(0, 600)
        assert time.perf_counter() - begun < 3


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.live.prometheus.MOST_BYTES", 1_000)
    with server(200, b"x" * 200_000) as (url, _), pytest.raises(PullError) as large:
        pull(url).ask(0, 600)
    assert str(large.value) == "Prometheus: the answer has more than 1000 bytes"
    long = b'{"error": "' + b"x" * 200_000
    with server(500, long) as (url, _), pytest.raises(PullError, match="Internal Server Error"):
        pull(url).ask(0, 600)


def test_it_is_asked_before_an_interval_closes_and_in_whole_seconds() -> None:
    assert (pull("http://x").every_s, pull("http://x").after_s) == (300, 15)
    assert pull("http://x", every="1min").after_s == 6
    assert pull("http://x", grace="2s").after_s == 1
    with pytest.raises(
        InputError, match="'every' must be whole seconds for Prometheus, at least 1"
    ):
        pull("http://x", every="500ms")
    with pytest.raises(
        InputError, match="'every' must be whole seconds for Prometheus, at least 1"
    ):
        pull("http://x", every="1500ms")


def test_what_failed_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.live.http.pulling._FIRST_WAIT_S", 0.01)
    taken: list[Samples] = []

    class Loop:
        def take(self, samples: Samples) -> Future[None]:
            done: Future[None] = Future()
            taken.append(samples)
            done.set_result(None)
            return done

    body = answer({"metric": {"link": "link-0"}, "values": [[1200, "5.5"]]})
    asks = pull("http://x")
    fails: list[Exception] = [PullError("gone"), RuntimeError("a fault"), PullError("gone")]

    def fetched(asked: dict[str, object]) -> bytes:
        if fails:
            raise fails.pop()
        return body

    monkeypatch.setattr(asks, "_fetched", fetched)
    thread = PullThread(asks, Loop(), 1200, lambda: 1516.0)  # type: ignore[arg-type]
    while not thread.outcomes["answered"]:
        time.sleep(0.005)
    thread.close()
    assert thread.outcomes == {"failed": 3, "answered": 1}
    assert [len(samples) for samples in taken] == [1]


def test_a_replay_says_that_it_leaves_telemetry_out() -> None:
    loaded = twin.Scenario.load(
        {"name": "x", "policies": ["last_value"], "telemetry": {"every": "1min"}}
    )
    assert "'telemetry' is for 'twin serve': a replay leaves it out" in loaded.warnings


# Counters


def counted(folder: Path, bits: int = 64, **links: object) -> LivingTwin:
    telemetry = {"kind": "counter", "unit": "byte/s", "bits": bits}
    return opened(folder, ["last_value"], telemetry=telemetry, links=links)


def test_counters_become_the_rates_of_intervals(tmp_path: Path) -> None:
    """Three links, read every minute, 20 s after each; the rate is known exactly."""
    rates = np.array([1e6, 2e6, 0.0])  # byte/s
    with counted(tmp_path) as living:
        t = living.begins_s
        for second in range(-40, 1_600, 60):
            count = 1e12 + rates * second
            living.take(Samples.of(living.links, [t + second] * 3, count), t + second)
            living.advance(t + second)
        # The reading before the live began is no sample of it, so the first minute is missing ...
        assert living.interval == 5
        demand = living.result().intervals["demand_mbps"].to_numpy().reshape(3, 5)
        # ... and what is left of the first interval is less than nine tenths.
        np.testing.assert_allclose(demand[:, 1:], np.outer(rates * 8 / 1e6, np.ones(4)), rtol=1e-12)
        assert living.counts["too_late"] == 3


def test_a_counter_that_wraps_goes_on_and_one_that_begins_again_is_missing(tmp_path: Path) -> None:
    with counted(tmp_path, bits=32, defaults={"capacity_mbps": 50}) as living:
        t = living.begins_s
        # Of 10 Mbit/s; the first wraps, the second falls as none of 50 Mbit/s can.
        steps = 1_250_000 * 300
        first = [(2**32 - steps * 1.5 + k * steps) % 2**32 for k in range(5)]
        second = [1e9, 1e9 + steps, 5.0, 5.0 + steps, 5.0 + 2 * steps]
        for k in range(5):
            now = t + k * TICK
            living.take(Samples.of(["link-0", "link-1"], [now] * 2, [first[k], second[k]]), now)
            living.advance(now + 30)
        # As it was first seen: a gap as short as this one is interpolated afterwards.
        demand = living.simulation.source.rows("internet", HISTORY, HISTORY + 4).T
        np.testing.assert_allclose(demand[0], 10)
        np.testing.assert_allclose(demand[1], [10, np.nan, 10, 10])
        assert np.isnan(demand[2]).all()


def test_a_reading_after_a_gap_says_what_was_in_it(tmp_path: Path) -> None:
    with counted(tmp_path) as living:
        t = living.begins_s
        # 1 MB/s, unread between 300 s and 1,500 s, and between 1,800 s and two hours later.
        for second in (0, 300, 1_500, 1_800, 9_000, 9_300):
            names = ["link-0"]
            living.take(Samples.of(names, [t + second], [1e6 * second]), t + second)
            living.advance(t + second + 30)
        demand = living.result().intervals.query("link == 'link-0'")["demand_mbps"].to_numpy()
        assert len(demand) == 31
        np.testing.assert_allclose(demand[:6], 8)
        assert np.isnan(demand[6:30]).all()
        assert demand[30] == pytest.approx(8)
        result = table(living.result())
    assert table(replayed(tmp_path)) == result


# Feeds of a trace


def test_a_trace_is_fed_in_the_unit_that_is_expected(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    whole = trace()
    lines = [
        f"{k * TICK},link-{link},{1e6 * whole.demand_mbps[k, link]:.3f}"
        for k in range(whole.samples)
        for link in range(3)
        # A gap, which the trace interpolates and the feed does not know.
        if not (k in (630, 631) and link == 1)
    ]
    file.write_text("time,link,internet\n" + "\n".join(lines) + "\n")
    demand = {"source": "csv", "path": str(file), "unit": "bit/s", "train": 0.9}
    loaded = twin.Scenario.load({"name": "x", "policies": ["last_value"], "demand": demand})
    with LivingTwin.open(loaded, tmp_path / "state", split=True) as living:
        steps = list(TraceFeed.of(living, loaded))
        assert len(steps) == 66
        for samples, now in steps:
            living.take(samples, now)
            # What is missing is waited for.
            living.advance(now + 30)
        live = living.result().intervals
        assert list(TraceFeed.of(living, loaded)) == []
        assert living.counts["missing"] == 2
    replay = twin.run(loaded).intervals
    np.testing.assert_allclose(live["demand_mbps"], replay["demand_mbps"], rtol=1e-12)
    np.testing.assert_allclose(live["requested_mbps"], replay["requested_mbps"], rtol=1e-12)


def test_what_is_asked_of_a_twin_is_answered(tmp_path: Path) -> None:
    with opened(tmp_path, ["static_p95", "last_value"]) as living:
        assert living.state()["links"][0]["demand_mbps"] is None
        feed(living, trace(), HISTORY, HISTORY + 12)
        come = rows_of(trace(), HISTORY + 12, HISTORY + 13, zero(living))
        living.take(some(come, come.link < 2), living.begins_s + 13 * TICK)
        state = living.state()
        json.dumps(state, allow_nan=False)
        assert (state["interval"], state["time"]) == (12, "2026-01-03T03:00:00Z")
        assert (state["waiting"], state["ready"], state["why_not"]) == (2, True, None)
        assert state["links"][2]["demand_mbps"] == trace().demand_mbps[HISTORY + 11, 2]
        assert state["links"][2]["capacity_mbps"] is None
        shadow = living.allocations("last_value")
        assert shadow["requested_mbps"]["link-2"] == trace().demand_mbps[HISTORY + 11, 2]
        assert (shadow["acting"], living.allocations()["acting"]) == (False, True)
        with pytest.raises(InputError, match="no policy 'static_p96'; did you mean 'static_p95'"):
            living.allocations("static_p96")
        living.act("last_value")
        decisions = living.decisions(3)
        assert [each["interval"] for each in decisions] == list(range(3, 13))
        assert decisions[-1]["requested_mbps"] == shadow["requested_mbps"]
        assert decisions[0]["requested_mbps"]["link-0"] == trace().demand_mbps[HISTORY + 2, 0]
        before = living.simulation.snapshot()
        living.state()
        living.allocations()
        living.decisions(0)
        # To be asked changes nothing.
        assert living.simulation.snapshot() == before
