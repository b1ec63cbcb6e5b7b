"""A kind of event that lives here alone: no other file knows of it."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

import twin
from twin.cli.main import call
from twin.core.arrays import Bools
from twin.events.base import Change, Event, LinkEvent, LinkState, Phase, Scope
from twin.events.course import Course


@dataclass(frozen=True, slots=True)
class Dim:
    """Takes links down for as long as the event says, by failures of its own."""

    links: Bools
    down: bool

    def apply(self, state: LinkState) -> None:
        (state.fail if self.down else state.repair)(self.links)


class Brownout(LinkEvent):
    """Links flicker at random instants, and their users give up a part of their demand."""

    kind: Literal["brownout"] = "brownout"
    given_up: Annotated[float, Field(ge=0, le=1)] = 0.2
    flickers: int = 3

    def changes(self, scope: Scope) -> Iterator[Change]:
        yield from super().changes(scope)
        links = scope.mask(self.links)
        span = self.end(scope.horizon) - self.begins
        for share in np.sort(self.random(scope).uniform(0, 0.9, self.flickers)):
            time = self.begins + float(share) * span
            yield Change(time, Phase.START, Dim(links, down=True))
            yield Change(time + 30, Phase.END, Dim(links, down=False))

    def courses(self, scope: Scope) -> tuple[Course, ...]:
        links = scope.flow_mask(self.links)
        end = self.end(scope.horizon)
        return (Course(self.begins, end, 0.0, 1 - self.given_up, 0.0, links),)


# Other tests list the kinds that are shipped: this one is there for the tests below alone.
Event.kinds.pop("brownout")


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    Event.kinds["brownout"] = Brownout
    yield
    Event.kinds.pop("brownout")


SCENARIO = {
    "policies": ["static_p95", "rolling_max"],
    "replay": {"duration": "12h"},
    "links": {"defaults": {"capacity_mbps": 1000}},
    "events": [
        {"kind": "brownout", "links": ["link-1"], "start": "2h", "duration": "1h", "flickers": 2}
    ],
}


def test_a_new_kind_runs_from_a_scenario_and_from_python() -> None:
    result = twin.run(SCENARIO)
    plain = twin.run(SCENARIO | {"events": []})
    first = result.intervals.query("link == 'link-1' and policy == 'static_p95'")
    before = plain.intervals.query("link == 'link-1' and policy == 'static_p95'")
    ratio = first["demand_mbps"].to_numpy() / before["demand_mbps"].to_numpy()
    np.testing.assert_allclose(ratio[24:36], 0.8)
    np.testing.assert_array_equal(np.delete(ratio, np.s_[24:36]), 1)
    assert (1 - first["capacity_mbps"] / 1000).sum() * 300 == pytest.approx(60)
    assert result.events["kind"].tolist() == ["brownout"] * 2
    sim = twin.Simulation.of(SCENARIO | {"events": []})
    sim.add(Brownout(links=["link-1"], start="2h", duration="1h", flickers=2))
    sim = pickle.loads(pickle.dumps(sim))
    pd.testing.assert_frame_equal(sim.run().intervals, result.intervals)


def test_its_random_stream_is_its_own() -> None:
    def violated(*others: dict[str, object]) -> float:
        result = twin.run(SCENARIO | {"events": [*others, *SCENARIO["events"]]})
        return float(result.intervals.query("link == 'link-1'")["violation_s"].to_numpy() @ weights)

    weights = np.random.default_rng(0).uniform(size=2 * 144)
    other = {"kind": "brownout", "links": ["link-2"], "start": "1h", "duration": "1h"}
    surge = {"kind": "surge", "links": ["link-3"], "start": "1h", "duration": "1h", "factor": 2}
    assert violated() == violated(other) == violated(surge, other)
    named = {"name": "storm", **SCENARIO["events"][0]}
    moved = twin.run(SCENARIO | {"events": [named]}).intervals.query("link == 'link-1'")
    assert float(moved["violation_s"].to_numpy() @ weights) != violated()


def test_its_keys_are_checked_listed_and_in_the_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "policies: [static_p95]\nevents:\n"
        "  - {kind: brownout, start: 1h, givn_up: 0.5}\n"
        "  - {kind: brownout, start: 1h, given_up: 2}\n"
        "  - {kind: brwnout, start: 1h}\n"
    )
    assert call(["validate", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{path}:3: events.0.givn_up: unknown key; did you mean 'given_up'?",
        f"{path}:4: events.1.given_up: must be at most 1, not 2",
        f"{path}:5: events.2.kind: unknown kind 'brwnout'; did you mean 'brownout'?",
    ]
    assert call(["list", "events"]) == 0
    assert "brownout" in capsys.readouterr().out
    assert call(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"$ref": "#/$defs/Brownout"} in schema["properties"]["events"]["items"]["oneOf"]
    with pytest.raises(twin.InputError, match=r"Brownout\.given_up: must be at most 1, not 3"):
        Brownout(start="1h", given_up=3)


def test_thousands_of_surges_take_time_in_proportion_to_their_number() -> None:
    surges = [
        {"kind": "surge", "start": f"{40 * k}s", "duration": "30s", "factor": 1.1, "ramp": "10s"}
        for k in range(2_000)
    ]
    day = {"demand": {"facilities": 1, "length": "5d"}, "policies": ["static_p95"]}
    since = time.perf_counter()
    result = twin.run(day | {"name": "day", "events": surges})
    assert time.perf_counter() - since < 10
    # Half of each surge is at its height, and the rest at half of it: a mean factor of 1.05.
    plain = twin.run(day | {"name": "day"})
    covered = slice(0, 2_000 * 40 // 300)
    ratio = (result.intervals["demand_mbps"] / plain.intervals["demand_mbps"])[covered]
    assert ratio.mean() == pytest.approx(1.05, abs=1e-3)
