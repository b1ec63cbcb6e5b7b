"""What things cost."""

from __future__ import annotations

from pydantic import Field

from twin.core.fields import Amount, Strict


class PricesSpec(Strict):
    """What things cost, in one currency."""

    capacity: Amount = Field(0.0, description="per Mbit/s allocated and hour")
    violated_minute: Amount = Field(0.0, description="per minute with unmet demand, each link")
    unmet_gbit: Amount = Field(0.0, description="per Gbit of unmet demand")
