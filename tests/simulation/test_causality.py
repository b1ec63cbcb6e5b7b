"""What a policy can know: nothing that has not happened yet, whatever it looks at."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from worlds import EVENTS, policies

import twin
from twin.demand.synthetic import generate

pytestmark = pytest.mark.long

HISTORY, SAMPLES = 700, 760
MARK = 987_654.0
"""A demand that only the future has."""


class Watching(twin.Policy):
    """Keeps copies of what it is shown."""

    seen: ClassVar[list[tuple[Any, ...]]] = []

    def fit(self, history: twin.History) -> None:
        self.seen.clear()
        self.seen.append((history.demand_mbps.copy(),))

    def allocate(self, observation: twin.Observation) -> Any:
        shown = observation.demand_mbps.copy(), observation.last_known_mbps.copy()
        self.seen.append((*shown, observation.forecast("persistence").copy()))
        return np.zeros(len(observation.links))


def trace(demand: Any, kpis: Any = None) -> twin.Trace:
    values = np.asarray(demand, dtype=float)
    table = pd.DataFrame(
        {
            "time": np.repeat(np.arange(len(values)) * 300, values.shape[1]),
            "link": np.tile([f"l{i}" for i in range(values.shape[1])], len(values)),
            "internet": values.ravel(),
        }
        | {name: np.asarray(v).ravel() for name, v in (kpis or {}).items()}
    )
    return twin.Trace.from_frame(table)


def test_a_gap_is_missing_until_its_far_end_has_been_seen_then_interpolated() -> None:
    demand = np.arange(1.0, 41.0)[:, None] * np.ones((1, 2))
    demand[24:27, 0] = np.nan
    sim = twin.Simulation(trace(demand), [Watching], train=0.5)
    table = sim.run().intervals.query("link == 'l0'")
    for k, (seen, last, persistence) in enumerate(Watching.seen[1:]):
        closed = 20 + k
        assert len(seen) == closed
        np.testing.assert_array_equal(last, persistence)
        if 25 <= closed <= 27:
            assert np.isnan(seen[24:closed, 0]).all()
            assert last[0] == 24
        elif closed > 27:
            np.testing.assert_allclose(seen[:, 0], np.arange(1.0, closed + 1))
        assert last[1] == closed
    # The account counts what is interpolated.
    np.testing.assert_allclose(table["demand_mbps"], np.arange(21.0, 41.0))


def test_a_gap_that_is_open_at_the_end_of_the_history_is_missing_there() -> None:
    demand = np.arange(1.0, 41.0)[:, None] * np.ones((1, 2))
    demand[18:22, 0] = np.nan
    twin.Simulation(trace(demand), [Watching], train=0.5).run()
    (history,) = Watching.seen[0]
    assert np.isnan(history[18:, 0]).all()
    assert np.isnan(Watching.seen[1][0][18:, 0]).all()
    assert not np.isnan(Watching.seen[4][0]).any()


def with_gaps(far_end: float, level: float) -> twin.Trace:
    """Three links, each with a gap whose far end, and all that follows, may differ."""
    kpis = {name: values.copy() for name, values in generate(9, 3, SAMPLES).items()}
    for values in kpis.values():
        values[690:704, 0] = np.where(np.arange(690, 704) < 695, values[690:704, 0], np.nan)
        values[720:728, 1] = np.nan
        values[728:, :] *= level
        values[728, 1] *= far_end
        values[704:, 0] *= far_end
    return trace(kpis.pop("internet"), kpis)


def test_no_decision_depends_on_what_is_still_to_come() -> None:
    requested = []
    for far_end, level in ((1.0, 1.0), (5.0, 1.0), (1.0, 0.2)):
        train = (HISTORY + 0.5) / SAMPLES
        sim = twin.Simulation(with_gaps(far_end, level), policies(), events=EVENTS[:0], train=train)
        sim.run()
        requested.append({lane.name: lane.requested for lane in sim.recording().lanes})
    plain, far, later = requested
    for name in plain:
        # The far end of the first gap is sample 704, of the second 728: what is decided for the
        # interval after them may know it.
        np.testing.assert_array_equal(plain[name][:5], far[name][:5], err_msg=name)
        np.testing.assert_array_equal(plain[name][:29], later[name][:29], err_msg=name)
    assert not np.array_equal(plain["conformal"][5:], far["conformal"][5:])


# Whatever a policy can get hold of


def reached(root: Any) -> Iterator[np.ndarray]:
    """Every array that can be reached by attributes, items, slices, `.base` and closures."""
    waiting, met, kept = [root], set(), []
    while waiting:
        thing = waiting.pop()
        if id(thing) in met or len(met) > 200_000:
            continue
        met.add(id(thing))
        kept.append(thing)  # an id is only good while its object lives
        if isinstance(thing, np.ndarray):
            yield thing
            waiting += [thing.base, thing[:], thing.T]
            continue
        if isinstance(thing, memoryview):
            waiting.append(thing.obj)
        if isinstance(thing, types.ModuleType | type | str | bytes | int | float | None):
            continue
        if isinstance(thing, Mapping):
            waiting += list(thing.values())
        if isinstance(thing, list | tuple | set | frozenset):
            waiting += list(thing)
        for cell in getattr(thing, "__closure__", None) or ():
            waiting.append(cell.cell_contents)
        waiting += [getattr(thing, "__self__", None), getattr(thing, "__func__", None)]
        waiting += [getattr(thing, "__wrapped__", None), getattr(thing, "__defaults__", None)]
        for name in dir(thing):
            if not (name.startswith("__") and name.endswith("__")):
                try:
                    waiting.append(getattr(thing, name))
                except Exception:
                    continue


def holds_the_future(root: Any) -> bool:
    for array in reached(root):
        if array.dtype.kind == "f" and (array == MARK).any():
            return True
        if array.dtype.kind == "O":
            return True
    return False


class Prying(twin.Policy):
    """Looks for the future in all that it can reach."""

    found: ClassVar[list[str]] = []

    def fit(self, history: twin.History) -> None:
        self.found.clear()
        self.history = history
        if holds_the_future(history):
            self.found.append("history")
        history.forecasts("ridge", 50)
        self.season = history.season

    def allocate(self, observation: twin.Observation) -> Any:
        given = [
            observation.demand_mbps, observation.kpis, observation.last_known_mbps,
            observation.down, observation.forecast("ridge"), observation.quantiles("quantile"),
            observation.quantiles("auto", (0.1, 0.99), ahead=3),
        ]  # fmt: skip
        for name, thing in (("observation", observation), ("arrays", given), ("policy", self)):
            if holds_the_future(thing):
                self.found.append(f"{name} at {observation.interval}")
        return np.ones(len(observation.links))


def test_nothing_that_a_policy_can_reach_holds_the_future() -> None:
    kpis = {name: values.copy() for name, values in generate(4, 2, 640).items()}
    for values in kpis.values():
        values[600:] = MARK
    # The first interval after the mark would show it by right: the replay ends before.
    sim = twin.Simulation(
        trace(kpis.pop("internet"), kpis),
        [Prying, "conformal"],
        train=590.5 / 640,
        replay={"duration": "50min"},
    )
    sim.run()
    assert Prying.found == []
    assert holds_the_future(sim), "the search itself must find what is there"


def test_an_observation_is_read_while_its_policy_decides() -> None:
    kept: list[twin.Observation] = []

    class Keeping(twin.Policy):
        """Keeps what it is shown."""

        def allocate(self, observation: twin.Observation) -> Any:
            kept.append(observation)
            if len(kept) > 1:
                assert len(kept[0].demand_mbps) == len(observation.demand_mbps) - len(kept) + 1
            return np.ones(1)

    twin.Simulation(trace(np.ones((40, 1))), [Keeping], train=0.5).run()
    with pytest.raises(RuntimeError, match="while a policy runs, not later"):
        _ = kept[0].demand_mbps


def test_the_class_says_whether_a_policy_is_a_bound() -> None:
    class Pretending(twin.Policy):
        """Calls itself a bound once it runs."""

        def fit(self, history: twin.History) -> None:
            self.bound = True  # type: ignore[misc]

        def allocate(self, observation: twin.Observation) -> Any:
            return observation.coming_mbps

    with pytest.raises(twin.RunError, match="coming_mbps is the future, for a bound alone"):
        twin.Simulation(trace(np.ones((40, 1))), [Pretending], train=0.5).run()
