"""A policy as it was once it had learnt, packed to be there again after it was interrupted."""

from __future__ import annotations

import pickle
import zlib
from typing import Any, Final

from twin.policy.base import Policy

_LEVEL: Final = 1
"""Of compression: counts that are mostly 0 become a tenth, in a tenth of a second for 100 MB."""


class _Packing:
    """A stream that is compressed as it is written."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_LEVEL)
        self.parts: list[bytes] = []

    def write(self, data: Any) -> None:
        self.parts.append(self._compressor.compress(data))

    def end(self) -> bytes:
        return b"".join([*self.parts, self._compressor.flush()])


def packed(policy: Policy) -> bytes | None:
    """Return a policy with all that it knows; None for one that cannot be copied."""
    packing: Any = _Packing()
    try:
        pickle.dump(policy, packing, pickle.HIGHEST_PROTOCOL)
    except Exception:  # of what a policy may hold, any
        return None
    data: bytes = packing.end()
    return data


def unpacked(data: bytes) -> Policy:
    """Return the policy again."""
    policy: Policy = pickle.loads(zlib.decompress(data))
    return policy
