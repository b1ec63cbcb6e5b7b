"""Allocations that go out by themselves: to a file, and to a webhook that fails for a while."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from twin.core.errors import InputError
from twin.live.outputs import AllocationsFile, Webhook, key_of

MBPS = {"a,b": 12.5, "c": 0.0}
TIME = "2026-04-04T20:00:00Z"


def decision(interval: int) -> dict[str, object]:
    return {
        "policy": "p", "interval": interval, "time": TIME, "requested_mbps": MBPS,
        "allocated_mbps": MBPS, "decided_by": "p",
    }  # fmt: skip


class Receiver:
    """An HTTP server that answers with the statuses that it is given, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.seen: list[tuple[str, dict[str, object]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.seen.append((self.headers["Idempotency-Key"], json.loads(body)))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?secret=hunter2"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def until(hook: Webhook, delivered: int) -> None:
    for _ in range(500):
        if hook.outcomes["delivered"] >= delivered:
            return
        time.sleep(0.01)
    pytest.fail(f"only {dict(hook.outcomes)}")


def test_what_fails_is_sent_again_in_order_under_the_same_key(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [503, 302, 200]
    caplog.set_level(logging.INFO)
    hook = Webhook(receiver.url, first_wait_s=0.01)
    try:
        for interval in (7, 8):
            hook.write(decision(interval))
        until(hook, 2)
    finally:
        hook.close()
    assert [body["interval"] for _, body in receiver.seen] == [7, 7, 7, 8]
    keys = [key for key, _ in receiver.seen]
    assert keys == [key_of(decision(7))] * 3 + [key_of(decision(8))]
    assert keys[0] != keys[3]
    assert hook.outcomes == {"failed": 2, "delivered": 2}
    assert hook.waiting == 0
    # The address may hold a secret.
    assert "hunter2" not in caplog.text
    assert "status 503" in caplog.text


def test_a_receiver_that_is_down_costs_no_memory_and_no_time() -> None:
    hook = Webhook("http://127.0.0.1:9/", first_wait_s=30)
    try:
        for interval in range(1_000):
            hook.write(decision(interval))
        assert hook.waiting == 288
        assert hook.outcomes["dropped"] == 712
    finally:
        begun = time.perf_counter()
        hook.close()
        assert time.perf_counter() - begun < 4


@pytest.mark.parametrize("url", ["ftp://a/", "https://", "/etc/passwd", "http://a:99999/", "x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError) as refused:
        Webhook(url)
    assert str(refused.value) == (
        "--webhook: must be an address of http or https; such as https://example.org/allocations"
    )


def test_a_file_is_written_whole_as_json_or_as_a_table(tmp_path: Path) -> None:
    for name in ("now.json", "now.csv"):
        file = AllocationsFile(tmp_path / name)
        for interval in range(5):
            file.write(decision(interval))
        file.close()
        assert 1 <= file.outcomes["written"] <= 5
    assert json.loads((tmp_path / "now.json").read_text()) == decision(4)
    assert (tmp_path / "now.csv").read_text() == (
        "policy,interval,time,link,requested_mbps,allocated_mbps,decided_by\n"
        f'p,4,{TIME},"a,b",12.5,12.5,p\np,4,{TIME},c,0.0,0.0,p\n'
    )


def test_a_file_that_cannot_be_written_is_counted_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "now.json"
    path.mkdir()
    file = AllocationsFile(path)
    file.write(decision(1))
    while not file.outcomes["failed"]:
        time.sleep(0.005)
    path.rmdir()
    file.write(decision(2))
    file.close()
    assert json.loads(path.read_text())["interval"] == 2
    assert file.outcomes == {"failed": 1, "written": 1}
    assert "allocations cannot be written" in caplog.text
