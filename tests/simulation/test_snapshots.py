"""Copies: kept and gone on with in another process, or forked, they end in the same bytes."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import FULL, ROOT, policy_file
from worlds import EVENTS, HISTORY, INTERVALS, LINKS, simulation, table, trace

import twin
from twin import InputError
from twin.core import content
from twin.demand.write import write_csv

pytestmark = pytest.mark.long

TICKS, SHIPPED_TICKS = (20, 6) if FULL else (8, 2)
"""Ticks to go on from; whole shipped scenarios take longer."""
FINISH = """
import hashlib, io, sys
from pathlib import Path
import twin
for file in sorted(Path(sys.argv[1]).glob("*.snapshot")):
    result = twin.Simulation.restore(file.read_bytes()).run()
    stream = io.BytesIO()
    result.write_intervals(stream)
    text = result.summary.to_csv(index=False) + result.events.to_csv(index=False)
    print(hashlib.sha256(stream.getvalue() + text.encode()).hexdigest())
"""


def digest(result: twin.Result) -> str:
    text = result.summary.to_csv(index=False) + result.events.to_csv(index=False)
    return hashlib.sha256(table(result) + text.encode()).hexdigest()


def finished_elsewhere(folder: Path) -> list[str]:
    """Go on with the snapshots in `folder` in one other process; return what each comes to."""
    done = subprocess.run(
        [sys.executable, "-c", FINISH, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def kept_at_random_ticks(
    simulation: twin.Simulation, folder: Path, seed: int, count: int = TICKS
) -> set[int]:
    """Write a snapshot at each of some ticks; return how many intervals had closed."""
    rng = np.random.default_rng(seed)
    ticks = set(rng.choice(simulation.span.intervals, count, replace=False).tolist())
    for tick in range(max(ticks) + 1):
        if tick in ticks:
            (folder / f"{tick:05}.snapshot").write_bytes(simulation.snapshot())
        simulation.step()
    return ticks


@pytest.mark.parametrize("name", content.shipped("scenarios"))
def test_a_shipped_scenario_goes_on_from_any_tick_in_another_process(
    name: str, tmp_path: Path
) -> None:
    simulation = twin.Simulation.of(name)
    kept_at_random_ticks(simulation, tmp_path, seed=len(name), count=SHIPPED_TICKS)
    whole = digest(simulation.run())
    assert whole == digest(twin.run(name))
    assert finished_elsewhere(tmp_path) == [whole] * SHIPPED_TICKS


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """A scenario with a trace of gaps, a fallback that fires, and lead times drawn at random."""
    whole = trace()
    write_csv(tmp_path / "trace.csv", whole.links, whole.kpis, whole.tick_s)
    policy_file(
        tmp_path,
        "fails",
        "if observation.interval % 7 == 3:\n    raise ValueError('now and then')\n"
        "return observation.forecast('bilstm') * 1.1",
    )
    schedule = [{"from": "0h", "use": "rolling_max"}, {"from": "5h", "use": "conformal"}]
    scenario = {
        "demand": {
            "source": "csv", "path": "trace.csv",
            "train": (HISTORY + 0.5) / (HISTORY + INTERVALS),
        },
        "policies": ["conformal", "blend", "fails", {"name": "handover", "schedule": schedule}],
        "fallback": {"use": "last_value", "after": 5},
        "links": LINKS,
        "events": [event.model_dump(mode="json", exclude_none=True) for event in EVENTS],
    }  # fmt: skip
    path = tmp_path / "everything.yaml"
    path.write_text(yaml.safe_dump(scenario))
    return path


def test_everything_that_can_happen_goes_on_in_another_process(
    everything: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    simulation = twin.Simulation.of(everything)
    kept_at_random_ticks(simulation, tmp_path / "kept", seed=1)
    result = simulation.run()
    assert (result.summary.query("policy == 'fails'")["fallback_intervals"] > 5).any()
    assert finished_elsewhere(tmp_path / "kept") == [digest(result)] * TICKS


def test_a_fork_without_changes_ends_as_its_parent_does(everything: Path) -> None:
    simulation = twin.Simulation.of(everything)
    forks = [simulation.fork()]
    for k in range(INTERVALS):
        if k in (1, 17, 100, 170):
            forks.append(simulation.fork())
        simulation.step()
    whole = digest(simulation.result)
    assert [digest(fork.run()) for fork in forks] == [whole] * 5


def test_a_fork_leaves_its_parent_as_it_is() -> None:
    plain = simulation(policies=["conformal", "rolling_max"]).run()
    parent = simulation(policies=["conformal", "rolling_max"])
    parent.run(until="5h")
    what_if = parent.fork()
    what_if.add(twin.Surge(start="now", duration="2h", factor=3.0))
    surged = what_if.run()
    assert table(parent.run()) == table(plain)
    assert table(surged) != table(plain)
    past = [r.intervals.query("interval < 60").to_csv() for r in (surged, plain)]
    assert past[0] == past[1]


def test_what_is_added_later_is_as_if_it_had_been_there_from_the_start() -> None:
    extra = (
        twin.Surge(links=["c"], start="6h 3min", duration="1h", factor=2.0, ramp="4min"),
        twin.LinkFailure(links=["a"], start="7h", duration="30min"),
    )
    chosen = ["conformal", "blend", "bilstm", "rolling_max"]
    whole = simulation(policies=chosen, events=(*EVENTS, *extra)).run()
    added = simulation(policies=chosen)
    added.run(until="5h 30min")
    for event in extra:
        added.add(event)
    assert table(added.run()) == table(whole)


def test_a_simulation_is_stopped_before_an_instant_and_goes_on() -> None:
    whole = simulation(policies=["conformal"]).run()
    parts = simulation(policies=["conformal"])
    for until in ("2h", "2h 2min 30s", "2h 31min", 9_000.0):
        parts.run(until=until)
    assert table(parts.run()) == table(whole)
    assert parts.finished
    with pytest.raises(RuntimeError, match="the replay has ended"):
        parts.step()


def test_a_simulation_can_be_pickled_by_itself() -> None:
    running = simulation(policies=["conformal"])
    running.run(until="3h")
    again = pickle.loads(pickle.dumps(running))
    assert table(again.run()) == table(running.run())


def test_what_is_no_snapshot_is_refused() -> None:
    running = simulation(policies=["static_p95"])
    for data in (b"", b"nothing", pickle.dumps(3), pickle.dumps(({"kind": "other"}, b""))):
        with pytest.raises(InputError, match="is no snapshot"):
            twin.Simulation.restore(data)
    header, state = pickle.loads(running.snapshot())
    with pytest.raises(InputError, match=r"is a snapshot of twin 0\.0; this is"):
        twin.Simulation.restore(pickle.dumps((header | {"twin": "0.0"}, state)))
