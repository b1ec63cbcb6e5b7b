"""What a simulation refuses, in a sentence, and what it does not forget."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import policy_file
from worlds import HISTORY, simulation, trace

import twin
from twin import InputError, RunError
from twin.telemetry.source import head


def plain(samples: int = 200, links: int = 1) -> twin.Trace:
    frame = pd.DataFrame({f"l{i}": np.full(samples, 10.0 + i) for i in range(links)})
    frame.index = pd.date_range("2026-01-01", periods=samples, freq="5min")
    return twin.Trace.from_frame(frame)


class Nameless(twin.Policy):
    """Has a parameter that a scenario keeps for itself."""

    name: str = "x"


class Needy(twin.Policy):
    """Cannot be made without an argument."""

    def __init__(self, needed: int) -> None:
        super().__init__()


REFUSED: dict[str, Any] = {
    "policies: must be a list, not 5": lambda: twin.Simulation(plain(), 5),
    "policies: must be a list of policies, not 5": lambda: twin.run("surge", policies=5),
    "events: must be a list, not nothing": lambda: twin.Simulation(
        plain(), ["oracle"], events=None
    ),
    "routing: must be a routing, such as": lambda: twin.Simulation(plain(), ["oracle"], routing=5),
    "overrides: must be a mapping or texts": lambda: twin.run("surge", overrides=5),
    "overrides: a key must be text, not 5": lambda: twin.run("surge", overrides={5: 1}),
    "history: must be a Trace, not 5": lambda: twin.LiveSource(5),
    "folder: must be a folder, not 5": lambda: twin.load(5),
    "columns: must be a mapping of our names": lambda: twin.Trace.from_frame(
        pd.DataFrame({"a": [1.0]}), columns=["a"]
    ),
    "'name' is reserved and cannot be a parameter": lambda: twin.Simulation(plain(), [Nameless]),
    "Needy cannot be made without arguments": lambda: twin.Simulation(plain(), [Needy]),
    "until: must be a duration or seconds, not 'a": lambda: simulation(policies=["static_p95"]).run(
        until=["a"]
    ),
    "there is no link 'x'": lambda: simulation(policies=["static_p95"]).add(
        twin.LinkFailure(links=["x"], start="1h")
    ),
    "no policy 'x'": lambda: simulation(policies=["static_p95"]).hand_over("x", None),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_wrong_argument_is_named_in_a_sentence(message: str) -> None:
    if message.startswith("until"):
        message = "until: must be a duration or seconds, not a list"
        call = REFUSED["until: must be a duration or seconds, not 'a"]
    else:
        call = REFUSED[message]
    with pytest.raises(InputError) as raised:
        call()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_routing_is_for_the_flows_of_the_trace_in_their_order() -> None:
    table = twin.RoutingTable(("A>B",), ("l1", "l0"), [[1, 1]])
    with pytest.raises(InputError, match="is for the flows l1, l0; the trace has l0, l1"):
        twin.Simulation(plain(links=2), ["static_p95"], routing=table)


def test_an_event_is_on_what_its_kind_acts_on() -> None:
    table = twin.RoutingTable(("A>B", "B>C"), ("l0", "l1"), [[1, 1], [0, 1]])
    for event, what in (
        (twin.LinkFailure(links=["l0"], start="1h"), "the trace has no link 'l0'"),
        (twin.Surge(links=["B>C"], start="1h", duration="1h", factor=2), "no flow 'B>C'"),
    ):
        with pytest.raises(InputError, match=what):
            twin.Simulation(plain(links=2), ["static_p95"], routing=table, events=[event])
    surge = twin.Surge(links=["l1"], start="1h", duration="1h", factor=2)
    result = twin.Simulation(plain(links=2), ["static_p95"], routing=table, events=[surge]).run()
    assert result.events["links"].tolist() == ['["A>B", "B>C"]'] * 2
    assert result.summary["onset_violation_minutes"].notna().all()


def test_events_that_clash_or_share_a_name_are_refused_when_added() -> None:
    sim = simulation(policies=["static_p95"], events=())
    sim.add(twin.CapacityChange(name="up", links=["a"], start="2h", capacity_mbps=5))
    with pytest.raises(InputError, match="a second event is called 'up'"):
        sim.add(twin.LinkFailure(name="up", start="3h"))
    with pytest.raises(InputError, match="sets the capacity of 'a' at the same time as up"):
        sim.add(twin.CapacityChange(links=["a"], start="2h", capacity_mbps=6))


def test_what_a_scenario_says_of_an_event_can_be_added_too() -> None:
    keys = {"kind": "link_failure", "links": ["a"], "start": "3h", "duration": "10min"}
    sims = [simulation(policies=["static_p95"], events=()) for _ in range(2)]
    sims[0].add(keys)
    sims[1].add(twin.LinkFailure(links=["a"], start="3h", duration="10min"))
    pd.testing.assert_frame_equal(*(sim.run().intervals for sim in sims))
    with pytest.raises(InputError, match=r"events\.1\.dration: unknown key; did you"):
        sims[0].add(keys | {"start": "now"}, keys | {"dration": "1h"})
    with pytest.raises(InputError, match="unknown kind 'fire'"):
        sims[0].add({"kind": "fire"})


def test_a_policy_that_failed_fails_again(tmp_path: Path) -> None:
    policy_file(tmp_path, "breaks", "return 1 / (5 - observation.interval) + np.ones(3)")
    path = tmp_path / "breaks.py"
    sim = simulation(policies=[{"use": str(path)}])
    for call in (sim.run, sim.run, sim.step, sim.fork().run):
        with pytest.raises(RunError, match="ZeroDivisionError"):
            call()
    assert sim.closed == 5


def test_a_live_simulation_waits_whole() -> None:
    live = simulation(twin.LiveSource(head(trace(), HISTORY)), policies=["conformal"])
    rows = {name: np.full(3, 10.0) for name in live.source.kpis}
    with pytest.raises(RunError, match="no telemetry of interval 0 has come"):
        live.step()
    live.source.deliver(rows)
    assert live.step().interval == 0
    with pytest.raises(InputError, match="was made on a live source"):
        twin.run(live.scenario, seed=3)


def test_a_simulations_scenario_runs_again_on_the_same_trace() -> None:
    sim = simulation(policies=["static_p95"])
    again = twin.run(sim.scenario, policies=["static_p95", "rolling_max"])
    pd.testing.assert_frame_equal(
        again.intervals.query("policy == 'static_p95'").reset_index(drop=True),
        sim.run().intervals,
    )


def test_a_closed_interval_says_what_was_in_force_in_it() -> None:
    change = twin.CapacityChange(links=["a"], start="1h", duration="30min", capacity_mbps=100)
    failure = twin.LinkFailure(links=["b"], start="2h", duration="5min")
    options: dict[str, Any] = {"policies": ["static_p95"], "events": [change, failure], "links": {}}
    table = simulation(**options).run().intervals.set_index(["link", "interval"])
    for closed in simulation(**options):
        if closed.interval > 30:
            break
        for i, link in enumerate("abc"):
            row = table.loc[(link, closed.interval)]
            assert closed.allocated_mbps["static_p95"][i] == row["allocated_mbps"]
            assert closed.capacity_mbps[i] == row["capacity_mbps"]


def test_an_event_that_has_begun_is_not_cancelled() -> None:
    sim = simulation(policies=["static_p95"], events=[twin.LinkFailure(start="1h", duration="1h")])
    for _ in range(12):
        sim.step()
    with pytest.raises(InputError, match="has begun at 1h"):
        sim.cancel(0)


def test_nothing_is_looked_up_by_name_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy_file(tmp_path, "rolling_max", "raise SystemExit('was run')")
    policy_file(tmp_path, "mine", "return np.ones(1)")
    monkeypatch.chdir(tmp_path)
    twin.Simulation(plain(), ["rolling_max"]).run()
    with pytest.raises(InputError, match="no policy 'mine'"):
        twin.Simulation(plain(), ["mine"])
    result = twin.Simulation(plain(), [{"use": "./mine.py"}]).run()
    assert result.summary["policy"].unique().tolist() == ["mine"]


def test_a_snapshot_goes_on_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    policy_file(tmp_path / "here", "mine", "return np.full(4, 300.0)")
    (tmp_path / "here" / "s.yaml").write_text("policies: [mine]\nreplay: {duration: 2h}\n")
    monkeypatch.chdir(tmp_path / "here")
    kept = twin.Simulation.of("s.yaml").snapshot()
    monkeypatch.chdir(tmp_path / "there")
    assert twin.Simulation.restore(kept).run().recording.intervals == 24


def test_what_cannot_be_kept_or_restored_is_said() -> None:
    class Local(twin.Policy):
        """Has a class that no other process can import, and holds a lock."""

        def fit(self, history: twin.History) -> None:
            self.lock = threading.Lock()

        def allocate(self, observation: twin.Observation) -> Any:
            return np.ones(len(observation.links))

    sim = twin.Simulation(plain(), [Local])
    sim.start()
    with pytest.raises(InputError, match="snapshot: cannot be kept"):
        sim.snapshot()
    header = {"kind": "twin snapshot", "twin": twin.__version__, "policies": {}}
    lost = pickle.dumps((header, b"c__main__\nNoSuchPolicy\n."))
    with pytest.raises(InputError, match=r"snapshot: cannot be restored: .*NoSuchPolicy"):
        twin.Simulation.restore(lost)


def test_the_first_instants_can_be_reached() -> None:
    sim = simulation(policies=["static_p95"], events=())
    sim.run(until="0h")
    sim.run(until=pd.Timedelta("2min"))
    assert (sim.now, sim.closed) == (120, 0)
    sim.add(twin.LinkFailure(links=["a"], start="now", duration="1min"))
    sim.run(until=np.int64(3600))
    table = sim.result.intervals.query("link == 'a'")
    assert table["violation_s"].iloc[0] == 60
    sim.run()
    assert sim.now == sim.span.horizon(300)
