"""What workers do with a copy of the twin."""

from __future__ import annotations

from typing import Any

from twin.live.http.question import WhatIfQuestion


def what_if(snapshot: bytes, question: WhatIfQuestion) -> dict[str, Any]:
    """Answer what would happen from the snapshot on."""
    raise NotImplementedError


def score(snapshot: bytes, acting: str) -> dict[str, Any]:
    """Score the policies on what is recorded in the snapshot."""
    raise NotImplementedError
