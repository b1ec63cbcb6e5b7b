"""A failure of links."""

from __future__ import annotations

from typing import Literal

from twin.events.base import LinkEvent
from twin.events.outage import Outage


class LinkFailure(LinkEvent, Outage):
    """Links are down: their capacity is 0, their allocation stays."""

    kind: Literal["link_failure"] = "link_failure"
