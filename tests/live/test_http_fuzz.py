"""Requests of every wrong kind: a stated refusal, never a traceback, and the twin goes on."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import BEGINS, Running, running

from twin.live.http.endpoints import _CAN_FAIL

EXAMPLES = int(os.environ.get("FUZZ", "100"))
PATHS = [
    "/", "/telemetry", "/api/v1/write", "/state", "/allocations", "/forecast", "/decisions",
    "/what-if", "/metrics", "/healthz", "/readyz", "/openapi.json", "//", "/../etc/passwd",
    "/state%00", "/%2e%2e", "/what-if/", "/scoreboard/x",
]  # fmt: skip
METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"]
TYPES = [
    "application/json", "application/x-ndjson", "text/csv", "text/plain", "application/x-protobuf",
    "", "text/csv; charset=utf-16", "application/json;;;", "\x7f",
]  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(TYPES),
        "content-encoding": st.sampled_from(["gzip", "snappy", "identity", "br", "gzip, gzip"]),
        "content-length": st.sampled_from(["0", "-1", "9" * 30, "abc"]),
        "host": st.sampled_from(["localhost", "127.0.0.1:8765", "evil.example", ""]),
        "origin": st.sampled_from(["http://127.0.0.1:8765", "null", "https://[", "x"]),
        "authorization": st.sampled_from(["Bearer x", "Bearer", "Basic eA=="]),
        "x-prometheus-remote-write-version": st.sampled_from(["0.1.0", "2.0", ""]),
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
QUESTION = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("events", "links", "policies", "for", "replications", "seed", "x"), JSON
    ),
)
LINES = st.sampled_from(
    [
        "time,link,internet", "1,link-0,2", f"{BEGINS:.0f},link-0,1e308", "m,link=link-0 value=1",
        'm,link=link-0 value=1i,x="a" 99999999999999999999', '{"time":1,"link":"link-0"}',
        '{"time":"2026","link":"link-0","internet":1e999}', "\x00", "=1+1,link-0,5", ",,,",
        "[" * 5_000,
    ]
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(LINES, max_size=6).map(lambda lines: "\n".join(lines).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
    QUESTION.map(lambda value: json.dumps(value).encode()),
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["link", "for", "back", "since", "at", "policy", "map", "wait", "precision", "z"]
    ),
    st.sampled_from(
        ["link-0", "2h", "-1h", "9" * 40, "rolling_max", "1", "0", "\x00", "2026-01-03T01:00Z",
         "9999-12-31T23:59:59+14:00", "ns", "'", "<b>"]
    ),
    max_size=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("state")) as made:
        made.close_intervals(2)
        # What workers answer has tests of its own, and takes time.
        made.service.workers.limits = type(made.service.workers.limits)(at_once=0, waiting=0)
        yield made


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(
    path=st.sampled_from(PATHS), method=st.sampled_from(METHODS), query=QUERIES, headers=HEADERS,
    body=BODIES, packed=st.booleans(),
)  # fmt: skip
def test_whatever_is_sent_is_answered_as_the_description_says(
    server: Running, path: str, method: str, query: dict[str, str], headers: dict[str, str],
    body: bytes, packed: bool,
) -> None:  # fmt: skip
    if packed:
        body, headers = gzip.compress(body), {**headers, "content-encoding": "gzip"}
    answer = server.client.request(
        method, path, params=query, headers=headers, content=body or None
    )
    check(answer)
    assert server.loop.present.trouble is None


def check(answer: Any) -> None:
    status = answer.status_code
    assert 200 <= status < 300 or str(status) in _CAN_FAIL, (status, answer.text)
    assert status != 500, answer.text
    assert "Traceback" not in answer.text
    assert "/live-http" not in answer.text
    if status >= 400 and answer.request.method != "HEAD":
        said = answer.json()
        assert said["error"], answer.text
        assert "\n" not in said["error"]
        assert len(answer.content) < 20_000


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(question=QUESTION | JSON)
def test_a_question_is_answered_or_refused_with_a_place(server: Running, question: Any) -> None:
    answer = server.client.post("/what-if", json=None, content=json.dumps(question).encode(),
                                headers={"content-type": "application/json"})  # fmt: skip
    check(answer)
    assert answer.status_code in (400, 429)
