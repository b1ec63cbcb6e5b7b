"""What policies know of prices."""

from __future__ import annotations

from typing import NamedTuple


class Prices(NamedTuple):
    """What an interval costs on a link, in one currency."""

    capacity: float
    """Of each Mbit/s that is allocated."""
    unmet: float
    """Of each Mbit/s of demand that is not served."""
    violated: float
    """Of any unmet demand, however little; in proportion where it is for a part of the interval."""
