"""A living twin without a trace: it collects its history, and decides with what is possible."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from fed import TICK, table
from serving import Running

import twin
from twin.cli.main import call
from twin.live.epoch import epochs
from twin.live.living import LivingTwin
from twin.live.replayed import replayed
from twin.live.samples import Samples
from twin.scenario.given import Given

NOW = 1_775_000_000.0
LINKS = {"a": {"capacity_mbps": 1000}, "b": {"capacity_mbps": 100}, "c": {"capacity_mbps": 50}}
STATIC = ["static_p95", "rolling_max", "last_value"]


def scenario(policies: list[Any], **keys: Any) -> twin.Scenario:
    data = {
        "name": "new",
        "demand": {"source": "telemetry"},
        "links": LINKS,
        "policies": policies,
        "telemetry": {"enough": "4h"},
        **keys,
    }
    return twin.Scenario.load(data, given=Given(living=True))


def demand(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    wave = 1.2 + np.sin(2 * np.pi * number / 288)
    return np.array([100.0, 40.0, 7.0]) * wave * rng.uniform(0.9, 1.1, 3)


def feed(living: LivingTwin, first: int, stop: int, links: str = "abc") -> None:
    for k in range(first, stop):
        start = living.begins_s + k * TICK
        values = dict(zip("abc", demand(k), strict=True))
        living.take(
            Samples.of(list(links), [start] * len(links), [values[link] for link in links]),
            start + TICK,
        )
        living.advance(start + TICK + 60)


def asked(living: LivingTwin, policy: str) -> tuple[str, list[float]]:
    said = living.allocations(policy)
    return said["decided_by"], list(said["requested_mbps"].values())


def test_links_of_which_nothing_is_known_get_their_capacity(tmp_path: Path) -> None:
    unlimited = LINKS | {"c": {}}
    with LivingTwin.open(scenario(STATIC, links=unlimited), tmp_path / "s", begins=NOW) as living:
        assert living.begins_s == NOW // TICK * TICK
        assert living.ready
        for policy in STATIC:
            assert asked(living, policy) == (policy, [1000.0, 100.0, 0.0])
        feed(living, 0, 1, "a")
        seen = demand(0)[0]
        assert asked(living, "last_value") == ("last_value", [seen, 100.0, 0.0])
        # It was fitted on nothing: what decides in its place says so.
        assert asked(living, "static_p95") == ("rolling_max", [seen * 1.1, 100.0, 0.0])


def test_policies_fit_as_history_grows_and_say_who_decided(tmp_path: Path) -> None:
    policies = [*STATIC, {"name": "steady", "use": "conformal", "model": "persistence"}]
    with LivingTwin.open(scenario(policies), tmp_path / "s", begins=NOW) as living:
        assert living.state()["collecting"] == {"samples": 0, "needed": 48}
        # Telemetry begins later than the twin; the time before it is no history.
        living.advance(living.begins_s + 3 * TICK + 60)
        assert living.collecting is not None
        assert living.collecting.samples == 0
        begun = {}
        for k in range(3, 60):
            feed(living, k, k + 1)
            begun.setdefault(living.first, living.why)
        assert begun == {
            0: "the live began",
            3 + 12: "1h of history came",
            3 + 24: "2h of history came",
            3 + 48: "4h of history came, which is enough",
        }
        assert living.collecting is None
        assert asked(living, "static_p95")[0] == "static_p95"
        assert asked(living, "steady")[0] == "steady"
        history = replayed(tmp_path / "s").scenario.trace
        expected = np.array([demand(k) for k in range(3, 51)])
        assert np.array_equal(history.demand_mbps, expected)
        past = living.decisions(since=51, most=3)
        assert [each["decided_by"] for each in past] == ["static_p95"] * 3


def test_history_goes_on_growing_until_as_much_is_there_as_is_kept(tmp_path: Path) -> None:
    telemetry = {"enough": "1h", "keep": "4h", "late": "30min"}
    begun = set()
    with LivingTwin.open(
        scenario(["static_p95"], telemetry=telemetry), tmp_path / "s", begins=NOW
    ) as living:
        for k in range(160):
            feed(living, k, k + 1)
            begun.add((living.first, living._keeper.present.epoch.history.samples))
    # Afterwards it begins anew as any twin does: when as much again has come.
    assert begun == {(0, 1), (12, 12), (24, 24), (48, 48), (96, 48), (144, 48)}


def test_a_policy_whose_model_needs_more_waits_for_it(tmp_path: Path) -> None:
    with LivingTwin.open(scenario(["bilstm"]), tmp_path / "s", begins=NOW) as living:
        feed(living, 0, 2)
        assert asked(living, "bilstm")[0] == "rolling_max"
        assert "needs a history" in living.simulation.logged[0].detail
        feed(living, 2, 13)
        assert asked(living, "bilstm")[0] == "bilstm"


def test_a_link_that_speaks_late_costs_the_others_nothing(tmp_path: Path) -> None:
    with LivingTwin.open(scenario(STATIC), tmp_path / "s", begins=NOW) as living:
        feed(living, 0, 14, "ab")
        feed(living, 14, 16)
        by, values = asked(living, "static_p95")
        assert by == "static_p95"
        level = np.percentile([demand(k) for k in range(12)], 95, axis=0)
        assert values[:2] == pytest.approx(level[:2])
        # Of that link the fallback says what the policy cannot.
        assert values[2] == pytest.approx(1.1 * max(demand(14)[2], demand(15)[2]))


def recorded(folder: Path) -> Iterator[bytes]:
    for number in range(1, len(epochs(folder / "journal")) + 1):
        yield table(replayed(folder, number=number))


def test_every_epoch_is_replayed_to_the_byte_and_a_restart_changes_nothing(
    tmp_path: Path,
) -> None:
    policies = [*STATIC, {"name": "steady", "use": "conformal", "model": "persistence"}]
    checked = scenario(policies, telemetry={"enough": "2h"})
    with LivingTwin.open(checked, tmp_path / "whole", begins=NOW) as living:
        lasting = {}
        for k in range(32):
            feed(living, k, k + 1)
            if living.interval > living.first:
                lasting[living.first] = table(living.result())
    for stop in range(0, 32, 7):
        # Without a checkpoint, as after a kill.
        living = LivingTwin.open(checked, tmp_path / "parts", begins=NOW + stop * TICK)
        feed(living, stop, min(stop + 7, 32))
        living._keeper._journal.close()
        living._stack.close()
    whole = list(recorded(tmp_path / "whole"))
    assert whole == list(recorded(tmp_path / "parts"))
    assert whole[-1] == lasting[24]


def test_late_samples_from_before_the_history_are_too_late(tmp_path: Path) -> None:
    with LivingTwin.open(scenario(STATIC), tmp_path / "s", begins=NOW) as living:
        feed(living, 5, 5 + 13)
        assert living.first == 17
        sent = Samples.of(["a"], [living.begins_s + 2 * TICK], [5.0])
        receipt = living.take(sent, living.begins_s + 19 * TICK)
        assert dict(receipt.outcomes) == {"too_late": 1}
        feed(living, 18, 20)


TOPOLOGY = {
    "directed": True,
    "links": [
        {"a": "A", "b": "B", "capacity_mbps": 100},
        {"a": "B", "b": "A", "capacity_mbps": 100},
        {"a": "B", "b": "C", "capacity_mbps": 100},
    ],
}


def test_of_a_topology_links_or_flows_are_collected(tmp_path: Path) -> None:
    keys = {"topology": TOPOLOGY, "links": {}}
    loads = scenario(["rolling_max"], **keys)
    assert loads.trace.links == loads.links == ("A>B", "B>A", "B>C")
    some = {"source": "telemetry", "flows": ["A>C"]}
    assert scenario(["rolling_max"], **keys, demand=some).trace.links == ("A>C",)
    flows = scenario(["rolling_max"], **keys, demand={"source": "telemetry", "flows": "all"})
    # Nothing leads away from C.
    assert set(flows.trace.links) == {"A>B", "A>C", "B>A", "B>C"}
    with LivingTwin.open(flows, tmp_path / "s", begins=NOW) as living:
        assert asked(living, "rolling_max")[1] == [100.0, 100.0, 100.0]
        start = living.begins_s
        names = ["A>B", "A>C", "B>C", "B>A"]
        living.take(Samples.of(names, [start] * 4, [10.0, 20.0, 5.0, 1.0]), start + TICK)
        living.advance(start + TICK)
        by_link = living.allocations("rolling_max")["requested_mbps"]
        assert by_link == pytest.approx({"A>B": 33.0, "B>A": 1.1, "B>C": 27.5})


def test_kpis_are_those_that_telemetry_names() -> None:
    named = {"metrics": {"sessions": "users", "internet": "octets"}}
    assert list(scenario(["rolling_max"], telemetry=named).trace.kpis) == ["internet", "sessions"]


def test_it_is_said_over_http(tmp_path: Path) -> None:
    both = scenario([*STATIC, "conformal"])
    with LivingTwin.open(both, tmp_path / "s", begins=NOW) as living:
        feed(living, 0, 6)
        served = Running(living)
        thread = threading.Thread(target=served.loop.run)
        with served.client as client:
            thread.start()
            try:
                there = {"samples": 6, "needed": 48}
                ready = client.get("/readyz")
                assert ready.status_code == 200
                assert ready.json() == {
                    "status": "collecting history",
                    "closed": 6,
                    "collecting": there,
                }
                state = client.get("/state").json()
                assert state["collecting"] == there
                # Why a policy waits is told, and where its file is on this machine is not.
                told = " ".join(each["detail"] for each in state["log"])
                assert "(conformal.py:" in told
                assert "rolling_max decides until the policy learns anew" in told
                assert str(ROOT) not in told
                metrics = client.get("/metrics").text
                assert "twin_history_samples 6.0" in metrics
                assert "twin_history_needed_samples 48.0" in metrics
                decided = client.get("/decisions?since=0").json()
                assert (decided["known_from"], decided["next"]) == (0, 7)
                assert [each["decided_by"] for each in decided["decisions"]] == [
                    "static_p95",
                    *["rolling_max"] * 6,
                ]
            finally:
                served.loop.stop()
                thread.join()


FILE = """\
name: new
demand: {source: telemetry}
links:
  a: {capacity_mbps: 100}
policies: [static_p95]
"""


def test_only_what_serves_takes_a_scenario_without_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(FILE)
    assert call(["validate", str(file)]) == 0
    assert "no trace to replay: 'twin serve' collects its history" in capsys.readouterr().out
    for command in ("run", "outlook"):
        assert call([command, str(file)]) == 2
        assert capsys.readouterr().err == (
            f"{file}:2: demand.source: is 'telemetry': there is no trace to read or to replay; "
            "'twin serve' collects it; or name one, as 'source: csv'\n"
        )
    assert call(["serve", str(file), "--speed", "60", "--state", str(tmp_path / "s")]) == 2
    assert "--speed: feeds the scenario's own trace, and it has none" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.yaml"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"links": {}}, "no link is named that it is of"),
        ({"demand": {"source": "telemetry", "train": 0.5}}, "'train' is of a trace"),
        ({"demand": {"source": "telemetry", "path": "x.csv"}}, "'path' is of a trace"),
        ({"demand": {"source": "csv", "path": "x.csv", "links": ["a"]}}, "'links' belongs to"),
        ({"demand": {"source": "telemetry", "flows": "all"}}, "needs a 'topology'"),
        ({"demand": {"source": "telemetry", "links": ["a", "a"]}}, "names 'a' twice"),
        ({"demand": {"source": "telemetry", "links": ["a"], "flows": ["a"]}}, "not of both"),
        ({"demand": {"source": "telemetry", "links": ["aa", "b", "c"]}}, "did you mean 'aa'"),
        (
            {"demand": {"source": "telemetry", "flows": ["A>X"]}, "topology": TOPOLOGY},
            "the topology has no site 'X'",
        ),
        (
            {"demand": {"source": "telemetry", "flows": ["A"]}, "topology": TOPOLOGY},
            "'A' is not from one site to another",
        ),
    ],
)
def test_what_is_wrong_is_said(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(twin.InputError) as raised:
        scenario(STATIC, **changed)
    assert said in str(raised.value)
