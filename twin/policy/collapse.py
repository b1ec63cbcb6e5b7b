"""Demand that falls to a fraction from one sample to the next, and the chance that it returns.

A collector that fails reports zeros, and a link that is tested carries nothing for a while. A
forecast follows the last value down, so that the return is a shortfall by the whole level. What the
link carried before is a floor under the forecast, as long as a return is likely enough to be worth
it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints, of_columns

_FALLEN: Final = 0.5
"""A demand below this share of the usual one has collapsed."""
_USUAL: Final = 9
"""The usual demand is the median of this many, the latest that had not collapsed: neither the end
of a short burst nor a slow decline is a collapse."""
_AGES: Final = 9
"""Classes of how long a collapse has lasted: 1, 2-3, 4-7, ... samples. What lasts longer than the
last of them is a new level."""
_GUESS: Final = 0.25
"""Chance of a return after one sample, before any collapse was seen; after n samples, this over n.
It counts as much as one sample that was seen."""
_REACH: Final = 12
"""Decisions that reach no farther ahead, samples, have a floor: the level changes with time."""


class Collapses:
    """Of each link: the demand before a collapse, and the chance that it is back."""

    def __init__(self, links: int) -> None:
        self._links = np.arange(links)
        self._latest = np.full((_USUAL, links), np.nan)
        self._count = np.zeros(links, dtype=np.int64)
        self._usual = np.full(links, np.nan)
        self._age = np.zeros(links, dtype=np.int64)
        guess = np.broadcast_to(_GUESS / 2.0 ** np.arange(_AGES)[:, None], (_AGES, links))
        # By age: samples that followed one of a collapse, and how many of them were a return.
        self._returned, self._followed = guess.copy(), np.ones((_AGES, links))

    def for_links(self, links: Ints) -> Collapses:
        """Return the same for some links, which may come several times."""
        some = of_columns(self, links, apart=("_links",))
        some._links = np.arange(len(links))
        return some

    @property
    def any(self) -> bool:
        """Whether any link has collapsed now."""
        return bool(self._age.any())

    def learn(self, demand: Floats) -> None:
        """Take the demand of the next sample, Mbit/s, [links]; NaN teaches nothing."""
        known = ~np.isnan(demand)
        low = known & (demand < _FALLEN * self._usual)
        if self.any:
            followed = known & (self._age > 0)
            self._followed[self._place] += followed
            self._returned[self._place] += followed & ~low
        self._age = np.where(known, (self._age + 1) * low, self._age)
        if (new_level := self._age >= 2**_AGES).any():
            self._latest[:, new_level] = demand[new_level]
            self._age[new_level] = 0
        usual = known & ~low
        place = self._count % _USUAL, self._links
        self._latest[place] = np.where(usual, demand, self._latest[place])
        self._count += usual
        # NaN comes last: until there are enough, nothing is below what is usual.
        self._usual = np.sort(self._latest, axis=0)[_USUAL // 2]

    @property
    def _place(self) -> tuple[Ints, Ints]:
        return np.log2(np.maximum(self._age, 1)).astype(np.int64), self._links

    def floor(self, forecast: Floats, shortfall: Floats, ahead: Ints) -> Floats:
        """Return the least demand to expect, Mbit/s, [links]; -inf where there is none.

        `forecast` is the highest until `ahead` intervals after the coming one. A floor costs what
        it is above that, and spares a shortfall with the chance that the link is back by then. It
        pays where to spare one elsewhere costs more: `shortfall`, Mbit/s, [links].
        """
        chance = self._returned[self._place] / self._followed[self._place]
        chance = np.minimum((ahead + 1) * chance, 1.0)
        pays = (self._age > 0) & (ahead <= _REACH)
        pays &= chance * shortfall > self._usual - forecast
        return np.where(pays, self._usual, -np.inf)
