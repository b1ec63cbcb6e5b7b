"""Checkpoints: the whole present of a living twin, so that a restart need not decide all again.

A checkpoint decides nothing: without it, or where it is of another version or damaged, the same
follows from the journal alone, only later. It is code as much as data, as any pickle is: whoever
can write to the state's folder can run what they like as the twin.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

from twin.core.errors import InputError
from twin.core.files import write_whole
from twin.live.epoch import Epoch
from twin.live.journal import Position
from twin.live.present import LivePresent

_HEAD: Final = struct.Struct("<16sQII")
"""What it is; position and checksum of the journal; checksum of what follows."""
_MAGIC: Final = b"twin checkpoint\3"
_PART: Final = 1 << 22


class _Summed:
    """A stream that sums what is written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.checksum = stream, 0

    def write(self, data: Any) -> int:
        self.checksum = zlib.crc32(data, self.checksum)
        return self._stream.write(data)


def write_checkpoint(path: Path, place: Position, present: LivePresent) -> None:
    """Write the present after all records before `place`, whole or not at all.

    Raises OSError, and InputError where a policy cannot be kept.
    """

    def write(stream: BinaryIO) -> None:
        stream.write(bytes(_HEAD.size))
        summed: Any = _Summed(stream)
        present.write(summed)
        stream.seek(0)
        stream.write(_HEAD.pack(_MAGIC, *place, summed.checksum))

    write_whole(path, write)


def read_checkpoint(path: Path, epoch: Epoch) -> tuple[LivePresent, Position] | None:
    """Return the present of a checkpoint, and the place of the journal where it goes on.

    None where there is none, where it is damaged or of another version, and where the journal is
    shorter.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            magic, position, checksum, own = _HEAD.unpack(head)
            summed = 0
            while part := stream.read(_PART):
                summed = zlib.crc32(part, summed)
            short = epoch.records.stat().st_size < position
            if magic != _MAGIC or summed != own or short:
                return None
            stream.seek(_HEAD.size)
            return LivePresent.read(stream, epoch), Position(position, checksum)
    except (OSError, InputError):
        return None
