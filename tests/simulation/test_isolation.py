"""What a policy cannot do to the future, to other policies and to the run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from small import HISTORY, MARK, misbehaving, requested, small_trace

import twin
from twin.core.sealed import sealed, two_views
from twin.engine.lane import Lane
from twin.policy.base import is_bound

HEADER = """
import copy, ctypes, dataclasses, gc, numpy as np
from typing import ClassVar
from twin import Policy
from twin.policy.services import services
import twin.policy.base as base


class Peeking(Policy):
    {class_body}

    def fit(self, history):
        self.kept = history.demand_mbps
        {fit}

    def allocate(self, observation):
        return np.full(len(observation.links), float(self.found(observation)))

    def found(self, observation):
        {found}
"""
LOOKS = {
    "the base of an array": """
        array = observation.demand_mbps
        while getattr(array, "base", None) is not None:
            array = array.base
        return np.nanmax(np.frombuffer(array))""",
    "the object behind the base": """
        array = observation.demand_mbps
        while isinstance(array, np.ndarray) and array.base is not None:
            array = array.base
        whole = getattr(array, "obj", array)
        return np.nanmax(np.frombuffer(whole))""",
    "the address of an array": """
        array = observation.demand_mbps
        start, rows = array.__array_interface__["data"][0], len(array) + 10
        values = (ctypes.c_double * (rows * array.shape[1])).from_address(start)
        return np.nanmax(np.array(values))""",
    "the base of the history": """
        array = self.kept
        while getattr(array, "base", None) is not None:
            array = array.base
        return np.nanmax(np.frombuffer(array))""",
    "the base of a forecast": """
        array = observation.forecast("ridge")
        while getattr(array, "base", None) is not None:
            array = array.base
        return np.nanmax(np.frombuffer(array))""",
    "more samples than have closed": """
        return services().observed("internet", observation.closed + 10).max()""",
    "a longer observation": """
        return observation._replace(closed=observation.closed + 10).demand_mbps.max()""",
    "an observation that is changed": """
        object.__setattr__(observation, "closed", observation.closed + 10)
        return observation.demand_mbps.max()""",
    "an observation of a bound": """
        return dataclasses.replace(observation, _ahead=True).coming_mbps.max()""",
    "the service behind the observation": """
        return services().coming(observation.closed).max()""",
    "calling its class a bound": """
        type(self).bound = True
        return observation.coming_mbps.max()""",
    "calling itself a bound": """
        self.bound = True
        return observation.coming_mbps.max()""",
    "asking a bound": """
        class Peek(Policy):
            bound: ClassVar[bool] = True
            def allocate(self, observation):
                return observation.coming_mbps
        return base.ask(Peek(), observation).max()""",
    "a forecast of a later sample": """
        return services().forecast("persistence", observation.closed + 10, 0).max()""",
}  # fmt: skip


def _class(tmp_path: Path, text: str) -> type[twin.Policy]:
    from twin.policy.load import load

    path = tmp_path / "peeking.py"
    path.write_text(text)
    return load(path).policy


@pytest.mark.parametrize("look", LOOKS)
def test_an_undeclared_look_ahead_shows_nothing(tmp_path: Path, look: str) -> None:
    text = HEADER.format(class_body="pass", fit="pass", found=LOOKS[look].strip())
    kind = _class(tmp_path, text)
    asked, failure = np.zeros(1), "policy Peeking: tick 0 (0s)"
    try:
        (asked,) = requested([kind]).values()
    except twin.RunError as error:
        failure = str(error)
    assert failure.startswith("policy Peeking: tick 0 (0s)")
    assert asked.max() < MARK
    assert not is_bound(kind)


def test_a_class_that_is_told_later_that_it_is_a_bound_is_none(tmp_path: Path) -> None:
    text = HEADER.format(
        class_body="pass",
        fit="type(self).bound = self.bound = True",
        found="return 1.0",
    )
    sim = twin.Simulation(small_trace(), [_class(tmp_path, text), "oracle"], train=0.5)
    result = sim.run()
    folder = result.save(tmp_path / "out", figures=False)
    assert twin.load(folder).manifest["bounds"] == ["oracle"]


# What policies share


class Honest(twin.Policy):
    """Asks for the mean of what it observes, and for what is left of its commitment."""

    def allocate(self, observation: twin.Observation) -> Any:
        base = np.nanmean(observation.demand_mbps, axis=0) + observation.last_known_mbps
        return base + observation.commitment.first + observation.forecast("persistence")


def _vandal(what: str) -> type[twin.Policy]:
    class Vandal(twin.Policy):
        """Writes to all that it is shown."""

        tried: ClassVar[int] = 0

        def allocate(self, observation: twin.Observation) -> Any:
            shown = {
                "demand": observation.demand_mbps,
                "last known": observation.last_known_mbps,
                "down": observation.down,
                "capacity": observation.capacity_mbps,
                "forecast": observation.forecast("persistence"),
                "commitment": observation.commitment.first,
                "limit": observation.commitment.highest_mbps,
                "ordered": observation.commitment.ordered_mbps,
            }
            array: Any = shown[what]
            while isinstance(array, np.ndarray):
                for how in (lambda a: a.setflags(write=True), lambda a: a.fill(7)):
                    try:
                        how(array)
                    except (ValueError, RuntimeError):
                        Vandal.tried += 1
                array = array.base
            return np.ones(len(observation.links))

    return Vandal


@pytest.mark.parametrize("links", [{}, {"defaults": {"lead_time": "5min", "max": 1e7}}])
@pytest.mark.parametrize(
    "what",
    ["demand", "last known", "down", "capacity", "forecast", "commitment", "limit", "ordered"],
)
def test_no_policy_can_write_to_what_another_observes(what: str, links: Any) -> None:
    vandal = _vandal(what)
    sim = twin.Simulation(small_trace(), [vandal, Honest], train=0.5 + 1e-6, links=links,
                          replay={"duration": "50min"})  # fmt: skip
    sim.fork().run()
    sim.run()
    assert vandal.tried
    plain = twin.Simulation(small_trace(), [Honest], train=0.5 + 1e-6, links=links,
                            replay={"duration": "50min"})  # fmt: skip
    plain.run()
    for mine, other in zip(sim.recording().lanes[1:], plain.recording().lanes, strict=True):
        np.testing.assert_array_equal(mine.requested, other.requested)
        np.testing.assert_array_equal(mine.allocated, other.allocated)


REWRITES = {
    "another policy": (
        lambda: setattr(Honest, "allocate", lambda self, seen: np.ones(2)), "Honest.allocate"
    ),
    "what all observe": (
        lambda: setattr(twin.Observation, "time", property(lambda self: None)), "Observation.time"
    ),
    "what checks answers": (lambda: setattr(Lane, "decide", lambda *_: None), "Lane.decide"),
    "a method that another inherits": (
        lambda: setattr(Honest, "fit", lambda self, history: None), "Honest.fit"
    ),
    "NumPy": (lambda: setattr(np, "asarray", np.array), "numpy.asarray"),
}  # fmt: skip


@pytest.mark.parametrize("name", REWRITES)
def test_a_policy_that_rewrites_code_of_others_stops_the_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, what in ((Honest, "allocate"), (twin.Observation, "time"), (Lane, "decide"),
                        (np, "asarray")):  # fmt: skip
        monkeypatch.setattr(owner, what, vars(owner)[what])
    monkeypatch.setattr(Honest, "fit", Honest.fit)
    monkeypatch.delattr(Honest, "fit")
    rewrite, told = REWRITES[name]
    with pytest.raises(twin.RunError, match=f"{told} was replaced while policies ran"):
        requested([misbehaving(rewrite, at=9), Honest])


def test_the_history_of_another_policy_stays_as_it_is() -> None:
    seen = []

    class Changing(twin.Policy):
        """Changes the history that it is given."""

        def fit(self, history: twin.History) -> None:
            object.__setattr__(history, "samples", 3)
            object.__setattr__(history, "sla_target", 0.9)

        def allocate(self, observation: twin.Observation) -> Any:
            return np.ones(len(observation.links))

    class Fitting(Changing):
        """Notes what it fits on."""

        def fit(self, history: twin.History) -> None:
            seen.append((history.samples, history.sla_target))

    requested([Changing, Fitting])
    assert seen == [(HISTORY, 0.01)]


def test_a_sealed_array_cannot_be_unlocked() -> None:
    values = np.arange(6.0).reshape(2, 3)
    kept = sealed(values)
    values[:] = 7
    np.testing.assert_array_equal(kept, np.arange(6.0).reshape(2, 3))
    written, shown = two_views(2, 3)
    written[:] = 5
    assert (shown == 5).all()
    with pytest.raises(BufferError):
        shown.base.base.obj.close()  # type: ignore[union-attr]
    for array in (kept, shown, kept[0], shown.T):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
    assert copy.deepcopy(kept).tolist() == kept.tolist()


def test_what_is_shown_cannot_be_written_to_where_memory_cannot_be_mapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(size: int) -> Any:
        raise OSError("no more files")

    monkeypatch.setattr("twin.core.sealed._mapped", none)
    written, shown = two_views(2, 3)
    written[:] = 5
    assert (shown == 5).all()
    with pytest.raises(ValueError, match="WRITEABLE"):
        shown.setflags(write=True)


def test_many_simulations_leave_descriptors_to_the_rest_of_the_process(tmp_path: Path) -> None:
    tables = [two_views(10, 2) for _ in range(700)]
    for written, shown in tables:
        written[:] = 3
        assert (shown == 3).all()
        assert not shown.flags.writeable
    (tmp_path / "file").write_text("can be opened")
