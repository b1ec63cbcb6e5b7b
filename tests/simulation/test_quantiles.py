"""Calibrated quantiles in a run: they do not depend on who asks, and when, nor on the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Maker
from worlds import HISTORY, delivered, simulation, table, trace

import twin
from twin import RunError, Scenario
from twin.studies.evaluation.horizons import evaluate_horizons
from twin.telemetry.source import ReplaySource, head

pytestmark = pytest.mark.long

ASKING = '''"""Allocates a quantile of any model, at some ticks."""

import numpy as np

from twin import Observation, Policy


class Asking(Policy):
    """A calibrated quantile."""

    model: str = "ridge"
    level: float = 0.9
    ahead: int = 0
    first: int = 0
    every: int = 1

    def allocate(self, observation: Observation) -> np.ndarray:
        if observation.interval < self.first or observation.interval % self.every:
            return np.ones(len(observation.links))
        wanted = (0.9, 0.95, 0.99, self.level)
        rows, levels = observation.quantiles(self.model, wanted, ahead=self.ahead)
        assert levels == wanted
        assert (np.diff(rows[:, :3]) >= 0).all()
        return rows[:, 3]
'''


@pytest.fixture
def asking(tmp_path: Path) -> Any:
    file = tmp_path / "asking.py"
    file.write_text(ASKING)
    return lambda name, **parameters: {"name": name, "use": str(file)} | parameters


def world(given: Any = None, *policies: Any, **changes: Any) -> twin.Simulation:
    options: dict[str, Any] = {"policies": list(policies), "links": None, "events": ()}
    return simulation(given, **options | changes)


def requested(result: twin.Result, policy: str) -> np.ndarray:
    rows = result.intervals[result.intervals["policy"] == policy]
    return rows.pivot(index="interval", columns="link", values="requested_mbps").to_numpy()


MODELS = ("ridge", "persistence", "auto", "quantile")


@pytest.mark.parametrize("model", MODELS)
def test_the_answer_does_not_depend_on_when_and_how_often_it_is_asked(
    asking: Any, model: str
) -> None:
    always = world(None, asking("always", model=model, ahead=3)).run()
    # One that asks late, and seldom; another that takes the forecasts on in the meantime.
    others = [
        asking("seldom", model=model, ahead=3, first=37, every=29),
        {"name": "onward", "use": "forecast", "model": model},
    ]
    result = world(None, *others).run()
    ticks = np.arange(58, 180, 29)
    seldom = requested(result, "seldom")[ticks]
    np.testing.assert_array_equal(seldom, requested(always, "always")[ticks])
    # Who is asked for them too forecasts as ever.
    alone = world(None, others[1]).run()
    np.testing.assert_array_equal(requested(result, "onward"), requested(alone, "onward"))


def test_live_quantiles_are_those_of_a_replay(asking: Any) -> None:
    policies = [
        asking(f"{model}-{ahead}", model=model, ahead=ahead)
        for model in MODELS
        for ahead in (0, 20)
    ]
    replayed = world(None, *policies).run()
    live = world(twin.LiveSource(head(trace(), HISTORY)), *policies)
    replay = ReplaySource(trace())
    for sample in range(HISTORY, HISTORY + 180):
        live.source.deliver(delivered(replay, sample))
        live.step()
    assert table(live.result) == table(replayed)


def test_snapshots_and_forks_go_on_with_the_same_quantiles(asking: Any) -> None:
    policies = [asking("near"), asking("far", ahead=40, model="auto")]
    surge = [twin.Surge(start="6h", duration="2h", factor=1.5)]
    whole = world(None, *policies, events=surge).run()
    going = world(None, *policies, events=surge)
    going.run(until=4 * 3_600 + 17)
    forked, kept = going.fork(), going.snapshot()
    assert table(forked.run()) == table(whole)
    assert table(twin.Simulation.restore(kept).run()) == table(whole)


def test_an_event_that_is_added_later_keeps_what_was_learnt(asking: Any) -> None:
    surge = twin.Surge(start="6h", duration="2h", factor=1.5)
    planned = world(None, asking("near", ahead=2), events=[surge]).run()
    added = world(None, asking("near", ahead=2))
    added.run(until=5 * 3_600)
    added.add(surge)
    assert table(added.run()) == table(planned)


def test_a_run_covers_what_the_evaluation_says(make: Maker, asking: Any) -> None:
    rng = np.random.default_rng(4)
    day = 300 + 200 * np.sin(np.arange(288) * 2 * np.pi / 288) + rng.normal(0, 20, 288)
    demand = np.tile(day, 8)[:, None] * rng.uniform(0.98, 1.02, (8 * 288, 2))
    path = str(make(demand, [asking("q", model="ridge_traffic", level=0.95)]))
    result = twin.run(path)
    short = result.summary.set_index(["policy", "link"])["sla_violation_rate"]
    scores = evaluate_horizons(Scenario.load(path), [0, 12], ["ridge_traffic"]).scores
    rows = scores.set_index(["model", "ahead", "link"])
    for link in ("link-1", "link-2", "all"):
        covered = rows.loc[("ridge_traffic", 0, link), "coverage_95"]
        assert 1 - short["q", link] == pytest.approx(covered, abs=1e-12)


def test_what_a_model_says_itself_is_still_answered(make: Maker) -> None:
    seen = []

    class Raw(twin.Policy):
        """Reads a model's own quantiles."""

        def allocate(self, observation: twin.Observation) -> Any:
            (one, levels), (two, _) = (
                observation.quantiles("quantile", 2), observation.quantiles("quantile", ahead=2),
            )  # fmt: skip
            np.testing.assert_array_equal(one, two)
            seen.append(levels)
            return one[:, levels.index(0.9)]

    world(None, Raw, replay={"duration": "1h"}).run()
    assert len(seen) == 12
    assert 0.99 in seen[0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"level": 1.5}, "levels: 1.5 is not between 0 and 1"),
        ({"ahead": 2_016}, None),
        ({"ahead": 2_017}, "ahead: is 2017, not 0 to 2016 intervals; a week is as far as it goes"),
        ({"ahead": -1, "model": "persistence"}, "ahead: is -1, not 0 to 2016 intervals"),
        ({"model": "rigde"}, "no model 'rigde'; did you mean 'ridge'?"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    asking: Any, parameters: dict[str, Any], message: str | None
) -> None:
    sim = world(None, asking("q", **parameters), replay={"duration": "30min"})
    if message is None:
        sim.run()
        return
    with pytest.raises(RunError) as error:
        sim.run()
    assert message in str(error.value)
