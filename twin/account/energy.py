"""What links draw: ports that sleep when they are not provisioned, and energy per bit.

The usual model of network equipment is affine in what it carries (Vishwanath et al., IEEE JSAC
2014), and a bundle of ports can let those sleep that it does not need (Fisher, Suchara and Rexford,
Green Networking 2010). With the allocation a, what is served s, both in Mbit/s, and ports of `step`
Mbit/s each, a link draws

    ceil(a / step) x idle_w + s / 1000 x w_per_gbps

watts. A link without a step is one port that never sleeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.core.arrays import Floats
from twin.core.rounding import steps_for
from twin.engine.links import LinkSpec


@dataclass(frozen=True, slots=True)
class LinkPower:
    """What decides the power of each link, [links]; NaN where nothing is said of it."""

    idle_w: Floats
    w_per_gbps: Floats
    step: Floats
    """Mbit/s; 0 for one port that never sleeps."""

    @classmethod
    def of(cls, links: Sequence[LinkSpec]) -> LinkPower | None:
        """Return that of `links`, None where no link says anything of its power."""
        if all(link.energy is None for link in links):
            return None
        rows = [
            (np.nan, np.nan, 0.0)
            if link.energy is None
            else (link.energy.idle_w, link.energy.w_per_gbps, link.energy.step or link.step or 0.0)
            for link in links
        ]
        return cls(*np.array(rows).T)

    def watts(self, allocated: Floats, served: Floats, links: slice = slice(None)) -> Floats:
        """Return what some links draw, W; arrays are [..., links]."""
        step = self.step[links]
        ported = step > 0
        # An allocation of a whole number of ports stays that, whatever its last digit.
        active = steps_for(allocated, np.where(ported, step, 1.0))
        ports = np.where(ported, active, 1.0)
        return np.asarray(ports * self.idle_w[links] + served / 1000 * self.w_per_gbps[links])
