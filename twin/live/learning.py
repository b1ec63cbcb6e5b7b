"""Learning beside a twin: policies of a new epoch fit in another process, ahead of its beginning.

Fits of many links take minutes, in which no interval could close. When a new beginning is due, the
journal says at which interval it will be and on which samples policies then have learnt: those that
no late sample can change any more, so that it makes no difference when they learn. A copy of the
process writes what they need, and a fresh one lets them fit; where that fails, or takes longer than
expected, they fit, or are waited for, when it begins. So what is decided is the same.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from twin.api.simulation import Simulation
from twin.core.errors import InputError
from twin.core.files import write_whole
from twin.engine.deciding import Learnt
from twin.forecast.names import PERSISTENCE
from twin.live.aside import Aside
from twin.live.moved import moved_on
from twin.live.present import LivePresent, Prepared, quiet
from twin.scenario.load import Scenario
from twin.telemetry.source import LiveSource

_LOG: Final = logging.getLogger("twin.live")
_MODEL_S: Final = 0.06
_PLAIN_S: Final = 0.005
"""Seconds that a fit of one link takes, about, for a policy that asks models and for any other."""
_SHORT_S: Final = 2.0
"""Fits that take no longer than that hold up nobody."""
_SLOWER: Final = 3
_STARTS_S: Final = 10.0
"""Beside other work, at low priority, it takes so many times as long; and to start a process."""
_PATIENCE_S: Final = 3 * 3600.0
_WATCH_S: Final = 0.5


def ticks_ahead(scenario: Scenario, tick_s: int) -> int:
    """Return how many ticks before a new beginning policies are to start learning; 0: at it.

    By the scenario alone, so that it is the same after a restart.
    """
    if sys.platform != "linux":
        return 0
    kpis = tuple(scenario.trace.kpis)
    per_link = sum(
        _MODEL_S if _asks_models(member.source.models(member.make(), kpis)) else _PLAIN_S
        for choice in scenario.policies
        for member in choice.members
    )
    seconds = per_link * len(scenario.links)
    if seconds <= _SHORT_S:
        return 0
    return int((_SLOWER * seconds + _STARTS_S) // tick_s) + 1


def _asks_models(models: Sequence[str]) -> bool:
    return any(model != PERSISTENCE for model in models)


class LearningAside:
    """Policies that learn for one new beginning at a time."""

    def __init__(self, state: Path) -> None:
        """Keep what they need, and what they have learnt, in the folder `state` meanwhile."""
        self._state = state
        self._tidy()
        self._aside = Aside(_PATIENCE_S)
        self._name: str | None = None

    def begin(self, base: Scenario, present: LivePresent) -> None:
        """Let them learn what `present` has prepared. Raises OSError."""
        prepared = present.prepared
        assert prepared is not None
        self._name = f"learnt-{present.epoch.number + 1:06d}"
        work = partial(_work, self._path(".unfitted"), self._path(), base, present, prepared)
        self._aside.begin(work)

    def _path(self, suffix: str = "") -> Path:
        return self._state / f"{self._name}{suffix}"

    def learnt(self) -> Learnt | None:
        """Return what they have learnt, once they have; None where it has to be learnt at once."""
        if self._name is None:
            return None
        try:
            self._aside.wait()
            with self._path().open("rb") as stream:
                learnt = Learnt(pickle.load(stream), pickle.load(stream))
        except Exception as error:  # of a pickle, any
            _LOG.warning("policies learn at once, not beside the twin: %s", error)
            return None
        return learnt

    @property
    def took_s(self) -> float:
        """Seconds that it took them."""
        return self._aside.took_s

    def end(self) -> None:
        """End what is under way, and remove what it has left."""
        self._aside.end()
        if self._name is not None:
            self._tidy()
        self._name = None

    def _tidy(self) -> None:
        """Remove what is there of it, whole or not."""
        for pattern in ("learnt-*", ".learnt-*"):
            for left in self._state.glob(pattern):
                left.unlink(missing_ok=True)


def _work(
    unfitted: Path, learnt: Path, base: Scenario, present: LivePresent, prepared: Prepared
) -> None:
    """Let a fresh process do it: this is a copy of one with threads, which are not copied."""
    learnt.unlink(missing_ok=True)
    source = LiveSource(present.known(prepared.first, prepared.fitted))
    simulation = Simulation.of(moved_on(base, source, prepared.at, present.added))
    write_whole(unfitted, simulation.write_snapshot)
    del simulation, source
    twin = os.getppid()
    command = [sys.executable, "-P", "-m", __name__, str(unfitted), str(learnt)]
    # What this process imports, it imports from the same places.
    places = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=places) as process,
    ):
        while process.poll() is None:
            time.sleep(_WATCH_S)
            if os.getppid() != twin:
                process.kill()
        if process.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
            raise InputError(lines[-1] if lines else f"ended with {process.returncode}")


def _fit(unfitted: Path, learnt: Path) -> None:
    with unfitted.open("rb") as stream:
        simulation = Simulation.read_snapshot(stream)

    def write(stream: BinaryIO) -> None:
        simulation.fit()
        pickle.dump(simulation.learnt.lanes, stream)
        # The first decision lets `auto` pick, and changes what policies know.
        simulation.start()
        pickle.dump(simulation.learnt.picks, stream)

    with quiet():
        write_whole(learnt, write)


def _end_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: Sequence[Any]) -> None:
    """Let the policies of a snapshot learn; `arguments` are its file and that of the outcome."""
    _end_with_parent()
    _fit(*map(Path, arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
