"""What-ifs: pairs on the same demand, exact where the outcome is known, and refusals."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_network import network

import twin
from twin import InputError
from twin.core.units import format_duration
from twin.demand.synthetic import generate
from twin.live.hindsight import Reliability, in_hindsight
from twin.live.what_if import WhatIf, demand_paths, what_if
from twin.telemetry.source import head

SAMPLES, NOW = 1_500, 1_400
LINKS = ("a", "b", "c")
SURGE = {"kind": "surge", "links": ["a"], "start": "now", "duration": "1h", "factor": 1.5}


@cache
def trace() -> twin.Trace:
    frame = pd.DataFrame(generate(3, 3, SAMPLES)["internet"], columns=list(LINKS))
    frame.index = pd.date_range("2026-04-01", periods=SAMPLES, freq="5min")
    return twin.Trace.from_frame(frame)


def live(**options: Any) -> twin.Simulation:
    options = {"policies": ["static_p95", "rolling_max"]} | options
    simulation = twin.Simulation(twin.LiveSource(head(trace(), NOW)), **options)
    simulation.start()
    return simulation


@cache
def asked_and_not() -> tuple[WhatIf, WhatIf]:
    simulation = live()
    paths = demand_paths(simulation, 7200)
    return (
        what_if(simulation, events=[SURGE], for_s=7200, replications=12, paths=paths),
        what_if(simulation, for_s=7200, replications=12, paths=paths),
    )


def test_both_sides_meet_the_same_demand() -> None:
    asked, nothing = asked_and_not()
    assert nothing.asked is nothing.without
    np.testing.assert_array_equal(asked.without.peak_mbps, nothing.asked.peak_mbps)
    # Where nothing was asked, nothing is different, in any replication.
    for name in ("violated_minutes", "unmet_mbit", "allocated_mbps", "peak_utilization"):
        both = (getattr(each, name)[:, :, 1:] for each in (asked.asked, asked.without))
        np.testing.assert_array_equal(*both)
    assert (asked.asked.peak_mbps[:, 0] > asked.without.peak_mbps[:, 0]).all()
    change = asked.estimates["static_p95"]["peak_load_mbps"]["change"]
    assert 0 <= change.low <= change.mean <= change.high
    unmet = asked.estimates["rolling_max"]["unmet_mbit"]
    assert unmet["change"].mean == pytest.approx(unmet["asked"].mean - unmet["without"].mean)


def test_the_same_seed_gives_the_same_answer_and_the_simulation_stays_as_it_was() -> None:
    simulation = live()
    paths = demand_paths(simulation, 3600)
    before = simulation.snapshot()
    one, two, other = (
        what_if(simulation, for_s=3600, replications=5, seed=seed, paths=paths).as_dict()
        for seed in (4, 4, 5)
    )
    assert one == two != other
    assert simulation.snapshot() == before


def test_a_replay_gives_the_answer_of_a_live_simulation() -> None:
    replayed = twin.Simulation(trace(), ["static_p95", "rolling_max"], train=(NOW - 19.5) / SAMPLES)
    for _ in range(20):
        replayed.step()
    one = twin.Simulation(twin.LiveSource(head(trace(), NOW - 20)), ["static_p95", "rolling_max"])
    for row in trace().kpis["internet"][NOW - 20 : NOW]:
        one.source.deliver({"internet": row})
        one.step()
    answers = [
        what_if(each, events=[SURGE], for_s=3600, replications=4).as_dict()
        for each in (replayed, one)
    ]
    assert answers[0] == answers[1]


def test_a_link_that_fails_serves_nothing_while_it_is_down() -> None:
    failure = {"kind": "link_failure", "links": ["b"], "start": "now", "duration": "30min"}
    answer = what_if(live(), events=[failure], for_s=3600, replications=4)
    down = answer.asked.violated_minutes[:, :, 1] - answer.without.violated_minutes[:, :, 1]
    assert (answer.asked.violated_minutes[:, :, 1] >= 30).all()
    assert (down <= 30).all()
    unmet = answer.asked.unmet_mbit[:, 0, 1] - answer.without.unmet_mbit[:, 0, 1]
    assert (unmet > 0).all()


def test_links_and_policies_may_differ() -> None:
    simulation = live(links={"defaults": {"capacity_mbps": 2000}})
    answer = what_if(
        simulation,
        links={"c": {"capacity_mbps": 10}},
        policies=[{"name": "static_p95", "use": "static_percentile", "q": 100}],
        for_s=3600,
        replications=4,
    )
    assert answer.policies == ("static_p95",)
    assert (answer.asked.violated_minutes[:, 0, 2] == 60).all()
    assert (answer.asked.allocated_mbps[:, 0, 0] > answer.without.allocated_mbps[:, 0, 0]).all()


def test_a_policy_that_is_not_there_takes_the_seat_of_the_first() -> None:
    simulation = live()
    asked = ["rolling_max", "last_value", {"name": "wide", "use": "rolling_max", "margin": 0.5}]
    answer = what_if(simulation, policies=asked, for_s=3600, replications=4)
    assert answer.policies == ("rolling_max", "last_value", "wide")
    # Without it, things are as they are: the first policy goes on.
    plain = what_if(simulation, for_s=3600, replications=4)
    first = plain.policies.index("static_p95")
    for place in (1, 2):
        np.testing.assert_array_equal(
            answer.without.allocated_mbps[:, place], plain.asked.allocated_mbps[:, first]
        )
        assert (
            answer.asked.allocated_mbps[:, place] != answer.without.allocated_mbps[:, place]
        ).any()
    # One that is there is as it is, whoever is tried beside it.
    np.testing.assert_array_equal(answer.asked.unmet_mbit[:, 0], plain.asked.unmet_mbit[:, 1])
    np.testing.assert_array_equal(answer.without.unmet_mbit[:, 0], plain.asked.unmet_mbit[:, 1])
    # The same rule with another margin, from the next tick on.
    later = answer.asked.allocation[:, :, 1:]
    rolling = plain.asked.allocation[:, 1, 1:]
    np.testing.assert_allclose(later[:, 2], rolling * 1.5 / 1.1)
    assert [each["policy"] for each in answer.as_dict()["policies"]] == list(answer.policies)


def test_a_policy_that_joins_decides_as_if_it_had_been_handed_over_to() -> None:
    simulation = live()
    entry = {"name": "static_p95", "use": "last_value"}
    taken = what_if(simulation, policies=[entry], events=[SURGE], for_s=1800, replications=3)
    joined = what_if(
        simulation, policies=["last_value"], events=[SURGE], for_s=1800, replications=3
    )
    np.testing.assert_array_equal(taken.asked.allocation, joined.asked.allocation)
    np.testing.assert_array_equal(taken.without.allocation, joined.without.allocation)


def test_what_is_asked_in_vain_is_said() -> None:
    simulation = live()
    late = SURGE | {"start": format_duration(simulation.now + 5400)}
    edge = SURGE | {"start": format_duration(simulation.now + 3600)}
    answer = what_if(
        simulation,
        events=[SURGE, late, edge],
        policies=["static_p95", "rolling_max", "static_p95"],
        for_s=3600,
        replications=2,
    )
    assert list(answer.notes) == answer.as_dict()["notes"]
    assert answer.notes == (
        "policies.2: 'static_p95' is named twice, and answered once",
        "events.1: begins after the time that is asked for ends, by 30min",
        "events.2: begins as the time that is asked for ends",
    )
    assert asked_and_not()[0].notes == ()
    same = {"links": {"c": {"capacity_mbps": 2000}}}
    simulation = live(**same)
    answer = what_if(simulation, **same, for_s=3600, replications=2)
    assert answer.notes == ("links: they are set like this already",)


def test_an_answer_is_plain_data() -> None:
    answer = asked_and_not()[0].as_dict()
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert (answer["for_s"], answer["replications"], answer["confidence"]) == (7200, 12, 0.9)
    policy = answer["policies"][0]
    assert set(policy["violated_minutes"]) == {"asked", "without", "change"}
    assert len(policy["allocation_mbps"]["mean"]) == 24
    assert policy["worst_links"][0]["link"] == "a"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"policies": ["statik_p95"]},
            r"policies\.0: no policy 'statik_p95'; did you mean 'static_p95'",
        ),
        ({"policies": ["oracle"]}, r"policies\.0: 'oracle' sees the future, and there is none"),
        (
            {"policies": ["rolling_max", {"use": "seasonal_max", "season": 2}]},
            r"policies\.1: season: unknown key; did you mean 'seasons'",
        ),
        (
            {"policies": ["last_value", {"use": "last_value", "margin": 0.3}]},
            r"policies\.1: a second policy is called 'last_value'; give it another 'name'",
        ),
        ({"policies": []}, "policies: names no policy"),
        ({"for_s": 0}, "for: must be more than 0 s, not 0"),
        ({"replications": 1}, "replications: must be 2 or more, not 1"),
        ({"for_s": 3e8}, r"for: 1000000 intervals x 50 replications x .* above 20,000,000"),
        ({"events": [SURGE | {"links": ["z"]}]}, "z"),
        ({"events": [SURGE | {"factr": 2}]}, "factr"),
        ({"model": "rigde"}, "rigde"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        what_if(live(), **options)


def test_a_replay_that_has_ended_has_no_future() -> None:
    simulation = twin.Simulation(trace(), ["static_p95"])
    simulation.run()
    with pytest.raises(InputError, match="what-if: the replay has ended"):
        what_if(simulation)


def test_hindsight_holds_what_was_said_against_what_came() -> None:
    simulation = live()
    answer = what_if(simulation, for_s=3600, replications=20)
    rows = trace().kpis["internet"][NOW : NOW + 12]
    with pytest.raises(ValueError, match="0 of 12 intervals have closed"):
        in_hindsight(answer, simulation.recording())
    for row in rows:
        simulation.source.deliver({"internet": row})
        simulation.step()
    scores = in_hindsight(answer, simulation.recording())
    summary = simulation.result.summary.query("link == 'all'").set_index("policy")
    for score in scores:
        if score.number == "violated_minutes":
            assert score.came == summary.loc[score.policy, "sla_violation_minutes"]
        if score.number == "peak_load_mbps":
            assert score.came == rows.max()
    reliability = Reliability()
    reliability.add(scores)
    found = {row["number"]: row for row in reliability.rows()}
    assert found["unmet_mbit"]["n"] == 1
    held = [score.held for score in scores if score.number == "unmet_mbit"]
    assert found["unmet_mbit"]["held"] == np.mean(held)


def test_every_failure_of_a_network_is_ranked(tmp_path: Any) -> None:
    scenario = twin.Scenario.load(network(tmp_path))
    simulation = twin.Simulation.of(scenario)
    for _ in range(3):
        simulation.step()
    options: dict[str, Any] = {"for_s": 1800, "replications": 3, "policies": ["static_p95"]}
    answer = what_if(simulation, **options)
    rows = answer.as_dict()["failures"]
    assert len(rows) == len({row["failure"] for row in rows}) > 3
    unmet = [row["unmet_mbit"]["mean"] for row in rows]
    assert unmet == sorted(unmet, reverse=True)
    # A policy that never changes: what strikes unannounced is what is announced.
    worst = next(row for row in rows if "+" in row["failure"])
    failure = {"kind": "link_failure", "links": worst["failure"].split("+"), "start": "now"}
    failure["duration"] = "30min"
    struck = what_if(simulation, events=[failure], failures=False, **options)
    assert struck.estimates["static_p95"]["unrouted_mbit"]["asked"].mean == 0
    minutes = struck.estimates["static_p95"]["violated_minutes"]["asked"].mean
    assert minutes == pytest.approx(worst["violated_minutes"]["mean"])


def test_what_no_path_is_left_for_is_said(tmp_path: Any) -> None:
    simulation = twin.Simulation.of(twin.Scenario.load(network(tmp_path)))
    for _ in range(3):
        simulation.step()
    event = {"kind": "node_failure", "sites": ["D"], "start": "now", "duration": "10min"}
    options: dict[str, Any] = {"for_s": 900, "replications": 3, "failures": False}
    answer = what_if(simulation, events=[event], **options)
    lost = answer.estimates["static_p95"]["unrouted_mbit"]
    assert lost["without"].high == 0
    # Six flows begin or end there, each of 100 to 110 Mbit/s.
    assert 6 * 100 * 600 < lost["asked"].mean < 6 * 110 * 600
