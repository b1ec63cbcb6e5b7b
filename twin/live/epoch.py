"""An epoch: what a simulation of the living twin began with, as files that never change.

A living twin begins anew now and then, on the history that it keeps, so that neither its memory nor
its journal grows for ever. Each time is a folder `journal/NUMBER` with the history, the scenario
and what else decides, beside the records of what came after.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy

from twin.core.errors import InputError, Problem
from twin.core.files import write_whole
from twin.demand.trace import Trace
from twin.live.journal import Record, framed_all

JOURNAL: Final = "journal"
"""The folder of a state that `twin run --journal` replays."""
RECORDS: Final = "records"
CHECKPOINT: Final = "checkpoint"
SCENARIO: Final = "scenario.yaml"
_FACTS: Final = "epoch.json"
_HISTORY: Final = "history.npz"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stated of an epoch beside its history and scenario."""

    zero_ms: int
    """When sample 0 of its history begins, since 1970."""
    live_ms: int
    """When the live began, before all epochs."""
    after: int
    """Intervals of the live that closed before it began."""
    identity: str
    """Digest of what decides beside the samples."""
    acting: str
    why: str
    """Why it began."""
    counts: dict[str, int] = field(default_factory=dict)
    """Samples by outcome until then."""
    events: tuple[dict[str, Any], ...] = ()
    """Events that were added to the scenario's, their starts from its beginning on."""
    fitted: int | None = None
    """Samples of the history that policies learn from, the first ones; None: all of it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The beginning of a simulation."""

    folder: Path
    number: int
    facts: Facts
    history: Trace

    @classmethod
    def of(cls, journal: Path, number: int, facts: Facts, history: Trace) -> Epoch:
        """Return the epoch of a number in a journal, which need not be there yet."""
        return cls(journal / f"{number:06d}", number, facts, history)

    @property
    def records(self) -> Path:
        """The file of what came after its beginning."""
        return self.folder / RECORDS

    @property
    def scenario(self) -> Path:
        """The file of its scenario."""
        return self.folder / SCENARIO


def write_epoch(epoch: Epoch, scenario: str, first: Iterable[Record] = ()) -> None:
    """Write an epoch, whole or not at all; `first` are its first records. Raises OSError."""
    journal, folder = epoch.folder.parent, epoch.folder
    unfinished = journal / f".{folder.name}-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    contents = {
        _FACTS: json.dumps({"format": _FORMAT, **asdict(epoch.facts)}, indent=2).encode(),
        _HISTORY: _packed(epoch.history),
        SCENARIO: scenario.encode(),
        RECORDS: framed_all(first),
    }
    for name, data in contents.items():
        write_whole(unfinished / name, partial(_write, data=data))
    unfinished.rename(folder)
    sync_folder(journal)


def _write(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder be on the disk, where the system can say so."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def epochs(journal: Path) -> list[Path]:
    """Return the folders of all epochs, the first one first."""
    if not journal.is_dir():
        return []
    return sorted(each for each in journal.iterdir() if each.name.isdigit())


def is_epoch(folder: Path) -> bool:
    """Return whether a folder is that of an epoch."""
    return (folder / _FACTS).is_file()


def read_epoch(folder: Path) -> Epoch:
    """Return the epoch in a folder. Raises InputError where there is none, or it is damaged."""
    try:
        facts = json.loads((folder / _FACTS).read_text("utf-8"))
        if facts.pop("format") != _FORMAT:
            raise ValueError("of another version")
        facts["events"] = tuple(facts["events"])
        history = _unpacked((folder / _HISTORY).read_bytes())
        return Epoch(folder, int(folder.name), Facts(**facts), history)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        what = f"is no epoch of a living twin: {error}"
        raise InputError(Problem(what, file=folder)) from None


def _packed(history: Trace) -> bytes:
    """Return a trace without gaps as an archive of arrays, with what is said of it as JSON."""
    said = {
        "links": list(history.links),
        "kpis": list(history.kpis),
        "tick_s": history.tick_s,
        "starts": None if history.starts is None else history.starts.isoformat(),
        "timezone": history.timezone,
        "origin": history.origin,
        "digest": history.digest,
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("trace.json", json.dumps(said))
        for number, values in enumerate(history.kpis.values()):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as file:
                npy.write_array(file, values, allow_pickle=False)
    return stream.getvalue()


def _unpacked(data: bytes) -> Trace:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        said = json.loads(archive.read("trace.json"))
        kpis = {
            name: np.ascontiguousarray(
                npy.read_array(io.BytesIO(archive.read(f"{number}.npy")), allow_pickle=False)
            )
            for number, name in enumerate(said["kpis"])
        }
    starts = None if said["starts"] is None else datetime.fromisoformat(said["starts"])
    links, tick_s = tuple(said["links"]), int(said["tick_s"])
    return Trace(
        links, kpis, tick_s, starts, said["origin"], said["digest"], timezone=said["timezone"]
    )
