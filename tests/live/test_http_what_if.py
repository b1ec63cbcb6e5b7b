"""Forecasts, what-ifs and scores over HTTP: worked out beside the twin, which goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import POLICIES, Running, running

from twin.live.http.answering import WhatIfLimits
from twin.live.http.service import LiveLimits

pytestmark = pytest.mark.long  # a worker has to start and to learn the demand's errors
CUT = {"kind": "link_failure", "links": ["link-0"], "start": "10min", "duration": "30min"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = LiveLimits(what_ifs=WhatIfLimits(at_once=1, waiting=1), settled_s=3600)
    with running(tmp_path_factory.mktemp("state"), limits=limits) as made:
        made.close_intervals(3)
        yield made


def asked(server: Running, **question: Any) -> Any:
    return server.client.post("/what-if", json=question)


def test_the_next_hours_are_worked_out_before_anybody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, limits=LiveLimits(settled_s=0.1)) as made:
        outlooks = made.service.outlooks
        deadline = time.monotonic() + 60
        while outlooks.latest() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert outlooks.latest() is not None
        # Once a day, and of a twin that began anew, nothing is known any more.
        looked: list[int] = []
        monkeypatch.setattr(made.service, "look_ahead", lambda: looked.append(made.twin.interval))
        made.close_intervals(1)
        with monkeypatch.context() as patch:
            patch.setattr("twin.live.http.service.renewed", lambda *_: True)
            made.close_intervals(1)
        made.close_intervals(1)
        made.service._began = -1
        made.close_intervals(2)
        assert looked == [2, 4]


def test_a_failure_costs_what_it_must(server: Running) -> None:
    answer = asked(server, events=[CUT], **{"for": "1h"}, replications=20)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert [each["policy"] for each in said["policies"]] == POLICIES
    for policy in said["policies"]:
        change = policy["violated_minutes"]["change"]
        # Half an hour of one link is all that can be lost more.
        assert 0 < change["low"] <= change["mean"] <= change["high"] <= 30
        assert policy["worst_links"][0]["link"] == "link-0"
        assert policy["worst_links"][0]["chance_of_violation"] == 1
    assert said["for_s"] == 3600


def test_what_nobody_asked_changes_nothing(server: Running) -> None:
    said = asked(server, policies=["last_value"], **{"for": "30min"}, replications=5).json()
    assert [each["policy"] for each in said["policies"]] == ["last_value"]
    assert said["policies"][0]["unmet_mbit"]["change"] == {"mean": 0, "low": 0, "high": 0}


def test_capacities_can_be_asked_for(server: Running) -> None:
    small = {"link-0": {"capacity_mbps": 1}}
    said = asked(server, links=small, policies=["rolling_max"], **{"for": "30min"}).json()
    assert said["policies"][0]["worst_links"][0]["link"] == "link-0"
    assert said["policies"][0]["unmet_mbit"]["change"]["low"] > 0


def test_what_only_the_network_can_refuse_has_its_place(server: Running) -> None:
    answer = asked(server, events=[{**CUT, "links": ["link-7"]}])
    assert answer.status_code == 400
    said = answer.json()
    assert said["where"] == "events.0.links"
    assert said["error"] == "the trace has no link 'link-7'"
    assert "state" not in answer.text


def test_policies_that_the_twin_does_not_run_may_be_tried(server: Running) -> None:
    entry = {"name": "wide", "use": "rolling_max", "window": "2h"}
    late = {**CUT, "start": "2h"}
    options = {"events": [late], "for": "1h", "replications": 5}
    said = asked(server, policies=["static_p95", entry], **options).json()
    assert [each["policy"] for each in said["policies"]] == ["static_p95", "wide"]
    assert said["notes"] == ["events.0: begins after the time that is asked for ends, by 1h"]
    wrong = asked(server, policies=["static_p95", entry | {"windw": "1h"}], **options)
    assert (wrong.status_code, wrong.json()["where"]) == (400, "policies.1.windw")


def test_a_forecast_has_its_quantiles_and_what_was(server: Running) -> None:
    said = server.client.get("/forecast?link=link-0&for=1h&back=10h").json()
    assert len(said["times"]) == len(said["median_mbps"]) == len(said["quantiles_mbps"]) == 12
    assert said["times"][0] == "2026-01-03T02:15:00Z"
    assert all(row == sorted(row) for row in said["quantiles_mbps"])
    assert [row[2] for row in said["quantiles_mbps"]] == said["median_mbps"]
    # The history is there too, under no policy.
    past = said["past"]
    assert len(past["time_s"]) == 120
    assert past["allocated_mbps"]["rolling_max"][:117] == [None] * 117
    assert None not in past["allocated_mbps"]["rolling_max"][117:]
    state = server.client.get("/state").json()
    assert set(state["outlook"]["chances"]) == set(server.twin.links)


def test_policies_are_scored(server: Running) -> None:
    said = server.client.get("/scoreboard").json()
    assert said["acting"] == "rolling_max"
    assert [each["span"] for each in said["spans"]] == ["day", "week", "month"]
    assert [each["policy"] for each in said["spans"][0]["policies"]] == POLICIES


def test_the_twin_goes_on_and_only_so_many_ask_at_once(server: Running) -> None:
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(asked(server, replications=200, seed=len(statuses)).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while server.service.workers.under_way < 2:
        time.sleep(0.005)
    begun = time.monotonic()
    server.close_intervals(2)
    assert time.monotonic() - begun < 5
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 429, 429]
