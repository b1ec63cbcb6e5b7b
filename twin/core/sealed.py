"""Arrays that nobody who is shown them can write to.

A read-only flag can be taken back by whoever holds the array that owns the memory. These arrays
stand on memory that Python itself keeps as it is, so that there is nothing to take back.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats

_LAST_DESCRIPTOR: Final = 256
"""Each map holds a descriptor, and the rest of the process needs some: many copies of a simulation
may be alive at once."""

Array = TypeVar("Array", bound=NDArray[Any])


def sealed(values: Array) -> Array:
    """Return a copy that cannot be written to, and that shares nothing with `values`."""
    owner: Any = values.base
    if type(owner) is bytes:
        return values
    return cast("Array", np.ndarray(values.shape, values.dtype, buffer=values.tobytes()))


def two_views(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Return a table of zeros twice: to write to, and to show.

    What is written to the first is seen in the second, which the processor's memory protection
    keeps from being written to. Where the system gives no such memory, a read-only view has to do.
    """
    size = max(8 * rows * columns, 8)
    writer: Any
    reader: Any
    try:
        writer, reader = _mapped(size)
    except OSError:
        writer = bytearray(size)
        reader = memoryview(writer).toreadonly()
    # As buffers they are in use: a map cannot be closed while there are arrays on it.
    written, shown = (np.frombuffer(each)[: rows * columns] for each in (writer, reader))
    return written.reshape(rows, columns), shown.reshape(rows, columns)


def _mapped(size: int) -> tuple[mmap.mmap, mmap.mmap]:
    """Return two maps of the same memory, the second read-only. Raises OSError."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("twin")
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108
    try:
        if descriptor > _LAST_DESCRIPTOR:
            raise OSError("the process has many files open")
        os.truncate(descriptor, size)
        return mmap.mmap(descriptor, size), mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
