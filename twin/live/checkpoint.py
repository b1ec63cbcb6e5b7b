"""Checkpoints: the whole present of a living twin, so that a restart need not decide all again.

A checkpoint decides nothing: without it, or where it is of another version or damaged, the same
follows from the journal alone, only later. It is code as much as data, as any pickle is: whoever
can write to the state's folder can run what they like as the twin.
"""

from __future__ import annotations

import pickle
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from twin.core.files import write_whole
from twin.live.journal import Position
from twin.live.present import Moment

_MAGIC = b"twin checkpoint 1\n"


class Checkpoint(NamedTuple):
    """The present after all records before a place of the journal."""

    place: Position
    moment: Moment


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all. Raises OSError."""
    place, moment = tuple(checkpoint.place), tuple(checkpoint.moment)
    head = pickle.dumps((place, [len(part) for part in moment], [zlib.crc32(p) for p in moment]))

    def write(stream: BinaryIO) -> None:
        stream.write(_MAGIC + len(head).to_bytes(4, "little") + head)
        for part in moment:
            stream.write(part)

    write_whole(path, write)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint in a file; None where there is none, or it is damaged."""
    with suppress(OSError, ValueError, pickle.UnpicklingError, EOFError), path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return None
        size = int.from_bytes(stream.read(4), "little")
        place, sizes, sums = pickle.loads(stream.read(size))
        parts = [stream.read(size) for size in sizes]
        if [zlib.crc32(part) for part in parts] == sums:
            return Checkpoint(Position(*place), Moment(*parts))
    return None
