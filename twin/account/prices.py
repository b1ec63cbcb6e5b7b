"""What things cost."""

from __future__ import annotations

from pydantic import Field

from twin.core.arrays import Floats
from twin.core.fields import Amount, Strict
from twin.policy.prices import Prices


class PricesSpec(Strict):
    """What things cost, in one currency."""

    capacity: Amount = Field(0.0, description="per Mbit/s allocated and hour", examples=[0.01])
    violated_minute: Amount = Field(
        0.0, description="per minute with unmet demand, each link", examples=[0.5]
    )
    unmet_gbit: Amount = Field(0.0, description="per Gbit of unmet demand", examples=[2])

    def of_interval(self, tick_s: int) -> Prices:
        """Return what policies see of them: the prices of an interval."""
        return Prices(
            self.capacity * tick_s / 3600,
            self.unmet_gbit * tick_s / 1000,
            self.violated_minute * tick_s / 60,
        )


def priced(
    prices: PricesSpec, allocated: Floats, violation_s: Floats, unmet: Floats, tick_s: int
) -> Floats:
    """Return what sums over intervals of `tick_s` seconds cost, changes apart.

    `allocated` and `unmet` in Mbit/s, `violation_s` in seconds, all in one shape.
    """
    return (
        prices.capacity * allocated * tick_s / 3600
        + prices.violated_minute * violation_s / 60
        + prices.unmet_gbit * unmet * tick_s / 1000
    )
