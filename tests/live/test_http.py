"""The twin over HTTP: what it answers, what it refuses, and how it says so."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fed import opened
from prometheus_client.parser import text_string_to_metric_families
from serving import BEGINS, LOOPBACK, POLICIES, Running, running

from twin.core.errors import RunError
from twin.live.http.bodies import BodyLimits
from twin.live.http.endpoints import _CAN_FAIL
from twin.live.http.service import LiveLimits
from twin.live.samples import BacklogError, NotWrittenError

HEAD = "time,link,internet\n"
CSV = {"content-type": "text/csv"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that these tests share; the first two intervals have closed."""
    with running(tmp_path_factory.mktemp("state")) as made:
        made.close_intervals(2)
        yield made


def refusal(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert {"error", "where", "suggestion"} <= said.keys()
    return said


def test_samples_are_taken_and_the_answer_says_what_became_of_them(server: Running) -> None:
    lines = f"{HEAD}{BEGINS + 600:.0f},link-0,5\n{BEGINS + 600:.0f},nowhere,5\n"
    answer = server.client.post("/telemetry", content=lines, headers=CSV)
    assert answer.status_code == 200
    assert answer.json()["samples"] == {"taken": 1, "unknown_link": 1}
    packed = server.client.post(
        "/telemetry",
        content=gzip.compress(lines.encode()),
        headers=CSV | {"content-encoding": "gzip"},
    )
    assert packed.json() == {"samples": {"duplicate": 1, "unknown_link": 1}, "unknown": ["nowhere"]}


def test_allocations_are_json_or_a_table(server: Running) -> None:
    acting = server.client.get("/allocations").json()
    assert acting["policy"] == "rolling_max"
    assert acting["interval"] == 2
    other = server.client.get("/allocations?policy=last_value").json()
    assert other["allocated_mbps"] != acting["allocated_mbps"]
    table = server.client.get("/allocations", headers={"accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    lines = table.text.splitlines()
    assert lines[0] == "policy,interval,time,link,requested_mbps,allocated_mbps,decided_by"
    assert len(lines) == 1 + len(server.twin.links)


def test_the_state_and_a_link_over_time(server: Running) -> None:
    state = server.client.get("/state").json()
    assert (state["interval"], state["ready"], state["acting"]) == (2, True, "rolling_max")
    # Unlimited has no number in JSON.
    assert state["links"][0]["capacity_mbps"] is None
    told = server.client.get("/forecast?link=link-1&for=1h&back=10min").json()
    assert len(told["times"]) == len(told["median_mbps"]) == 12
    assert told["past"]["time_s"] == [BEGINS, BEGINS + 300]
    assert told["past"]["demand_mbps"] == [100, 101]
    assert set(told["past"]["allocated_mbps"]) == {"rolling_max", "last_value"}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/forecast", 400, ("is missing", "link", "such as ?link=NAME")),
        ("/forecast?link=link-9", 404,
         ("'link-9' is no link of this twin", "link", "did you mean 'link-2'?")),
        ("/forecast?link=link-0&for=soon", 400,
         ("'soon' is not a duration; write it like '90min', '8h 2min 30s' or '3d'", "for", "")),
        ("/forecast?link=link-0&for=30d", 400,
         ("must be longer than 0s and at most 7d", "for", "")),
        ("/forecast?link=link-0&link=link-1", 400, ("is given twice", "link", "")),
        ("/decisions?since=-1", 400,
         ("must be a whole number of at least 0, not '-1'", "since", "")),
        ("/decisions?sinc=1", 400, ("unknown parameter", "sinc", "did you mean 'since'?")),
        ("/state?at=yesterday", 400, ("must be an ISO-8601 time, not 'yesterday'", "at",
         "such as 2026-04-04T20:00Z")),
        ("/allocations?policy=oracle", 404, ("'oracle' is no policy of this twin", "policy",
         "there are 'rolling_max' and 'last_value'")),
        ("/stat", 404, ("there is nothing here", "/stat", "did you mean '/state'?")),
        ("/what-if", 405, ("/what-if is not asked by GET", "method", "use 'POST'")),
        ("/state/", 404, ("there is nothing here", "/state/", "did you mean '/state'?")),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_told_with_a_remedy(
    server: Running, path: str, status: int, said: tuple[str, str, str]
) -> None:
    told = refusal(server.client.get(path), status)
    assert (told["error"], told["where"], told["suggestion"]) == said


def test_what_is_sent_wrongly_is_told_with_its_line(server: Running) -> None:
    post = server.client.post
    told = refusal(post("/telemetry", content=f"{HEAD}1,link-0,2\n2,link-0,x", headers=CSV), 400)
    assert (told["error"], told["where"]) == ("'x' is not a number", "line 3: internet")
    told = refusal(post("/telemetry", content="x", headers={"content-type": "text/html"}), 415)
    assert told["error"] == "is not known: 'text/html'"
    told = refusal(post("/telemetry", content="x", headers=CSV | {"content-encoding": "br"}), 415)
    assert (told["where"], told["suggestion"]) == (
        "Content-Encoding",
        "send it plain, or with gzip",
    )
    told = refusal(post("/api/v1/write", content="x", headers=CSV), 415)
    assert told["error"] == "must be application/x-protobuf"
    whole = gzip.compress(f"{HEAD}1,link-0,2".encode())
    for body in (b"no gzip", whole[:-4], whole + b"rest"):
        told = refusal(
            post("/telemetry", content=body, headers=CSV | {"content-encoding": "gzip"}), 400
        )
        assert told["where"] == "body"


def test_a_body_is_bounded_as_sent_unpacked_and_in_parts(tmp_path: Path) -> None:
    bounds = BodyLimits(sent_bytes=10_000, unpacked_bytes=100_000)
    with running(tmp_path, limits=LiveLimits(bodies=bounds, settled_s=3600)) as server:
        packed = CSV | {"content-encoding": "gzip"}
        post = server.client.post
        told = refusal(post("/telemetry", content=b"x" * 10_001, headers=CSV), 413)
        assert told["error"] == "is larger than 10,000 bytes"
        # Without a stated length.
        parts = iter([b"x" * 6_000] * 2)
        refusal(post("/telemetry", content=parts, headers=CSV), 413)
        bomb = gzip.compress(b"0" * 5_000_000)
        assert len(bomb) < 10_000
        told = refusal(post("/telemetry", content=bomb, headers=packed), 413)
        assert told["error"] == "is larger than 100,000 bytes once it is unpacked"
        many = gzip.compress(b"") * 200
        told = refusal(post("/telemetry", content=many, headers=packed), 413)
        assert told["error"] == "has more than 64 parts"
        refusal(
            post("/what-if", content=b"x" * 300_000, headers={"content-type": "application/json"}),
            413,
        )


def test_a_page_of_another_origin_may_not_ask(server: Running) -> None:
    get, post = server.client.get, server.client.post
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
    ):
        assert refusal(get("/state", headers=headers), 403)
        assert refusal(post("/telemetry", content=f"{HEAD}1,link-0,2", headers=CSV | headers), 403)
    own = {"origin": LOOPBACK, "sec-fetch-site": "same-origin"}
    assert get("/state", headers=own).status_code == 200
    # Whoever follows a link from elsewhere comes to the page, and the page then asks by itself.
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert get("/", headers=followed).status_code == 200


def test_without_tokens_only_names_of_loopback_are_answered(server: Running) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1:8765", "", "[", "a@b"):
        told = refusal(server.client.get("/state", headers={"host": host}), 421)
        assert told["where"] == "Host"
    for host in ("localhost", "LOCALHOST:1", "[::1]:8765", "127.0.0.2"):
        assert server.client.get("/state", headers={"host": host}).status_code == 200


def test_every_answer_tells_the_browser_what_it_may_do(server: Running) -> None:
    for path in ("/", "/state", "/nothing"):
        headers = server.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
    page = server.client.get("/")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "connect-src 'self'" in policy
    # The page is one file: nothing in it is fetched from elsewhere.
    assert "src=" not in page.text
    assert page.text.count("<script>") == page.text.count("<style>") == 1


def test_metrics_are_what_prometheus_reads(server: Running) -> None:
    text = server.client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {(s.name, *sorted(s.labels.values())): s.value
              for family in families.values() for s in family.samples}  # fmt: skip
    assert values["twin_ready",] == 1
    assert values["twin_intervals_closed_total",] == 2
    assert values["twin_samples_total", "taken"] >= 6
    assert values["twin_link_demand_bits_per_second", "link-2"] == 101e6
    assert values["twin_policy_acts", "rolling_max"] == 1
    assert values["twin_policy_acts", "last_value"] == 0
    # Persistence is short wherever demand has grown, and it did: by 1 Mbit/s.
    assert values["twin_policy_short_links", "last_value"] == 3
    assert values["twin_http_requests_total", "/telemetry", "200", "POST"] >= 2
    assert values["twin_closing_duration_seconds_count",] == 2
    # Unlimited is no number that could be drawn.
    assert families["twin_link_capacity_bits_per_second"].samples == []
    # Strangers invent no labels.
    server.client.get("/nothing/at/all")
    assert "/nothing" not in server.client.get("/metrics").text


def test_the_description_lists_every_path_and_how_it_can_fail(server: Running) -> None:
    document = server.client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        "/", "/telemetry", "/api/v1/write", "/state", "/allocations", "/forecast", "/scoreboard",
        "/decisions", "/what-if", "/metrics", "/events", "/healthz", "/readyz", "/openapi.json",
    }  # fmt: skip
    operation = document["paths"]["/what-if"]["post"]
    assert set(operation["responses"]) == {"200", *_CAN_FAIL}
    keys = document["components"]["schemas"]["WhatIf"]["properties"]
    assert set(keys) == {"events", "links", "policies", "for", "replications", "seed"}


def test_whoever_listens_is_told_of_each_interval(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        told: list[str] = []

        def listen() -> None:
            stream = server.service.stream.listen()
            told.append("listening")

            async def read() -> None:
                told.extend([message.decode() async for message in stream])

            server.client.portal.call(read)  # type: ignore[union-attr]

        thread = threading.Thread(target=listen)
        thread.start()
        while server.service.stream.listeners == 0:
            time.sleep(0.005)
        server.close_intervals(2)
        server.client.portal.call(server.service.stream.end)  # type: ignore[union-attr]
        thread.join(10)
        events = [message for message in told if message.startswith("event: interval")]
        assert [json.loads(event.split("data: ")[1])["interval"] for event in events] == [0, 1]
        assert server.service.stream.listeners == 0


def test_a_twin_that_cannot_take_more_says_so_and_when_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for error, status, wait in (
            (BacklogError("too much waits"), 429, "1"),
            (NotWrittenError("the disk is full"), 503, "5"),
        ):

            def take(*_: object, error: Exception = error) -> None:
                raise error

            server.twin.take = take  # type: ignore[assignment]
            answer = server.client.post("/telemetry", content=f"{HEAD}1,link-0,1", headers=CSV)
            assert refusal(answer, status)["error"].endswith(str(error))
            assert answer.headers["retry-after"] == wait


def test_what_breaks_inside_is_logged_and_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path) as server:

        def state() -> None:
            raise KeyError("/secret/place")

        server.twin.state = state  # type: ignore[assignment]
        answer = server.client.get("/state")
        told = refusal(answer, 500)
        assert told["error"] == "the twin failed to answer"
        assert "secret" not in answer.text
        assert "/secret/place" in caplog.text


def test_a_disk_that_is_full_is_seen_and_recovered_from(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        whole = server.twin.advance

        def full(now: float, most: int) -> int:
            raise NotWrittenError("no space left on device")

        server.twin.advance = full  # type: ignore[assignment]
        while server.loop.present.trouble is None:
            time.sleep(0.005)
        said = refusal(server.client.get("/readyz"), 503)["error"]
        assert said == "nothing can be written: no space left on device"
        assert server.client.get("/healthz").json() == {"status": "ok"}
        server.twin.advance = whole  # type: ignore[method-assign]
        while server.loop.present.trouble is not None:
            time.sleep(0.005)
        assert server.client.get("/readyz").json() == {"status": "ready", "closed": 0}


def test_where_no_policy_decides_samples_are_still_taken(tmp_path: Path) -> None:
    with running(tmp_path) as server:

        def fails(now: float, most: int) -> int:
            server.twin._keeper.failure = "policy 'p' raised"
            raise RunError("policy 'p' raised")

        server.twin.advance = fails  # type: ignore[assignment]
        while server.loop.present.trouble is None:
            time.sleep(0.005)
        get = server.client.get
        assert get("/healthz").json() == {"status": "ok"}
        for path in ("/readyz", "/allocations", "/forecast?link=link-0", "/decisions"):
            said = refusal(get(path), 503)["error"]
            assert said == "the twin does not decide: policy 'p' raised"
        answer = server.client.post(
            "/telemetry", content=f"{HEAD}{BEGINS:.0f},link-0,5", headers=CSV
        )
        assert answer.json()["samples"] == {"taken": 1}


def test_jobs_are_bounded_and_a_busy_twin_is_told(tmp_path: Path) -> None:
    with opened(tmp_path, POLICIES) as twin:
        server = Running(twin)
        # Its thread does not run: nobody does the jobs.
        with server.client:
            for _ in range(64):
                server.loop.ask(lambda twin: None)
            answer = server.client.get("/state")
            assert refusal(answer, 429)["error"] == "the twin has more to do than it keeps"
