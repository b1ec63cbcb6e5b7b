"""Tokens over HTTP: what each may do and how often, and what is told of those that are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from serving import BEGINS, running
from test_http import CSV, HEAD, refusal

from twin.live.http.refusals import RefusedTokens
from twin.live.http.tokens import ApiToken, ApiTokens, Role

READ, WRITE, ADMIN = ("r" * 24, "w" * 24, "a" * 24)


def tokens() -> ApiTokens:
    made = [
        ApiToken(name, role, hashlib.sha256(secret.encode()).digest())
        for name, role, secret in (
            ("grafana", Role.READ, READ), ("agent", Role.WRITE, WRITE), ("root", Role.ADMIN, ADMIN)
        )
    ]  # fmt: skip
    return ApiTokens(tuple(made))


def test_tokens_do_what_their_role_says_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path, tokens()) as server:
        get, post = server.client.get, server.client.post

        def bearer(secret: str) -> dict[str, str]:
            return {"authorization": f"Bearer {secret}", "host": "twin.example"}

        none = get("/state", headers={"host": "twin.example"})
        assert refusal(none, 401)["suggestion"] == "send 'Authorization: Bearer TOKEN'"
        assert none.headers["www-authenticate"] == 'Bearer realm="twin"'
        refusal(get("/state", headers=bearer("x" * 24)), 401)
        refusal(get("/state", headers={"authorization": f"Basic {READ}"}), 401)
        refusal(get("/nothing"), 401)
        assert get("/state", headers=bearer(READ)).status_code == 200
        assert get("/metrics", headers=bearer(READ)).status_code == 200
        told = refusal(get("/state", headers=bearer(WRITE)), 403)
        assert told["error"] == "'agent' has the role write, and this needs read"
        sample = f"{HEAD}{BEGINS:.0f},link-0,5"
        refusal(post("/telemetry", content=sample, headers=CSV | bearer(READ)), 403)
        for secret in (WRITE, ADMIN):
            assert (
                post("/telemetry", content=sample, headers=CSV | bearer(secret)).status_code == 200
            )
        # What holds no data is for all: the page, its description, whether it is well.
        for path in ("/", "/openapi.json", "/healthz", "/readyz"):
            assert get(path).status_code == 200
        assert server.twin.scenario.spec.name not in get("/").text.replace("simulation", "")


def test_refused_tokens_are_counted_and_logged_without_the_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guess = "guessed-" * 4
    with running(tmp_path, tokens()) as server:
        get = server.client.get
        get("/state")
        for _ in range(30):
            get(f"/state?at={guess}", headers={"authorization": f"Bearer {guess}"})
        get(f"/{guess}", headers={"authorization": guess})
        get("/state", headers={"authorization": f"Bearer {WRITE}"})
        text = get("/metrics", headers={"authorization": f"Bearer {READ}"}).text
    counted = 'twin_http_tokens_refused_total{reason="%s"} %s'
    for reason, count in (("absent", 1.0), ("unknown", 31.0), ("role", 1.0)):
        assert counted % (reason, count) in text
    lines = [each.getMessage() for each in caplog.records if "refused" in each.getMessage()]
    assert lines == ["refused a token that is not known, from testclient for /state"] * 10
    assert guess not in caplog.text


def test_so_many_refused_tokens_are_logged_and_the_others_numbered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    refused = RefusedTokens(lambda: now[0])
    for _ in range(15):
        refused.unknown("10.0.0.1", "/state")
    now[0] = 60.0
    refused.role("agent", "10.0.0.2", "/metrics")
    lines = [each.getMessage() for each in caplog.records]
    assert len(lines) == 11
    assert lines[-1] == (
        "refused the token 'agent', whose role is another, from 10.0.0.2 for /metrics; "
        "5 more since the last such line"
    )


def test_a_token_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path, tokens()) as server:
        headers = {"authorization": f"Bearer {READ}"}
        # What there is nothing of is soon answered, and counts as well.
        answers = (server.client.get("/nothing", headers=headers) for _ in range(1_000))
        statuses = []
        for answer in answers:
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                break
        assert statuses[:200] == [404] * 200
        assert refusal(answer, 429)["error"] == "'grafana' asks too often"
        assert answer.headers["retry-after"] == "1"
        # Others are not held up by it.
        other = server.client.get("/metrics", headers={"authorization": f"Bearer {ADMIN}"})
        assert other.status_code == 200
