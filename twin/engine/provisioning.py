"""Provisioning: from what a policy asks for to what is in force.

A request is kept within `min` and `max` and rounded up to whole steps. With r the outcome and o the
last order of the link, it becomes an order where

    (r > (1 + up) o or r < (1 - down) o) and now - time of o >= cooldown,

up and down being the hysteresis. An order takes effect after its lead time, unless a later one has
by then. The first decision is in force at once.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Bools, Floats, Ints, of_columns
from twin.engine.links import LinkSpec
from twin.policy.commitment import Commitment, OrderUnderWay, within

_RARE: Final = 0.001
"""A decision that is still in force this seldom need not cover what comes then."""
LEAD_STREAM: Final = 0x1EAD
"""Random stream of lead times, beside the scenario's seed."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What holds for each link, [links]: Mbit/s, seconds and shares."""

    lowest: Floats
    highest: Floats
    step: Floats
    """0: any value."""
    lead_low: Floats
    lead_high: Floats
    """A lead time is drawn between the two."""
    cooldown: Floats
    up: Floats
    down: Floats
    change_cost: Floats

    @classmethod
    def of(cls, links: Sequence[LinkSpec]) -> LinkSettings:
        """Return what is stated of `links`, in their order."""
        columns = {
            "lowest": [link.min for link in links],
            "highest": [np.inf if link.max is None else link.max for link in links],
            "step": [link.step or 0.0 for link in links],
            "lead_low": [link.lead_time.low for link in links],
            "lead_high": [link.lead_time.high for link in links],
            "cooldown": [link.cooldown for link in links],
            "up": [link.hysteresis_up for link in links],
            "down": [link.hysteresis_down for link in links],
            "change_cost": [link.change_cost for link in links],
        }
        settings = cls(**{name: np.array(each, dtype=float) for name, each in columns.items()})
        for name in columns:
            # Policies see some of them.
            getattr(settings, name).setflags(write=False)
        return settings

    def for_links(self, links: Ints) -> LinkSettings:
        """Return what holds for some links, which may come several times."""
        return LinkSettings(*(getattr(self, each.name)[links] for each in fields(self)))

    @property
    def trivial(self) -> bool:
        """Whether everything asked for is in force at once."""
        free = self.lowest.max() == 0 and np.isinf(self.highest).all()
        at_once = self.lead_high.max() == self.cooldown.max() == 0
        return bool(free and at_once and self.step.max() == self.up.max() == self.down.max() == 0)

    def commitment(self, tick_s: int) -> Commitment:
        """Return what a decision covers, once the first has been taken.

        It is in force from its lead time on until the lead time of the next one, which can be taken
        one tick later, or when the cooldown is over.
        """
        first, last = _committed(
            self.lead_low.tobytes(), self.lead_high.tobytes(), self.cooldown.tobytes(), tick_s
        )
        always, nothing = np.ones(len(first), dtype=np.bool_), np.zeros(len(first))
        limits = self.lowest, self.highest, self.step
        return Commitment(first, last, always, nothing, self.up, self.down, *limits)

    def rounded(self, requested: Floats) -> Floats:
        """Return the requests within limits and in whole steps, rounded up where they can be."""
        return within(requested, self.lowest, self.highest, self.step)


@lru_cache(maxsize=16)
def _committed(low: bytes, high: bytes, cooldown: bytes, tick_s: int) -> tuple[Ints, Ints]:
    terms = np.stack([np.frombuffer(each) for each in (low, high, cooldown)], axis=1)
    kinds, kind = np.unique(terms, axis=0, return_inverse=True)
    spans = np.array(
        [_span(low, high, held, tick_s) for low, high, held in kinds.tolist()], dtype=np.int64
    )
    first, last = spans[kind.ravel()].T.copy()
    first.setflags(write=False)
    last.setflags(write=False)
    return first, last


def _span(low: float, high: float, cooldown: float, tick_s: int) -> tuple[int, int]:
    """Return the first and the last interval that a decision covers."""
    held = max(int(np.ceil(cooldown / tick_s - 1e-9)), 1) * tick_s
    first = int(low / tick_s + 1e-9)
    if high <= low:
        return first, int(np.ceil((high + held) / tick_s - 1e-9)) - 1
    # The order taken at 0 is in force at the age a unless one taken at held, 2 held, ... has come:
    # with F the distribution of the lead time, P = (1 - F(a - held)) (1 - F(a - 2 held)) ...
    age, left = low, 1.0
    while left > _RARE and age < high + held:
        age += tick_s
        later = np.arange(held, age + 1e-9, held)
        left = float(np.prod(1 - np.clip((age - later - low) / (high - low), 0, 1)))
    return first, max(int(np.ceil(age / tick_s - 1e-9)) - 1, first)


@dataclass(frozen=True, slots=True)
class Order:
    """A change that takes effect later on some links."""

    at: float
    """Seconds from the start of the replay."""
    number: int
    links: NDArray[np.int64]
    values: Floats


class Provisioning:
    """The orders of one policy, and what is in force, Mbit/s, [links]."""

    def __init__(self, settings: LinkSettings, links: Sequence[str], seed: int) -> None:
        self._settings = settings
        # Lead times belong to a link and the tick of its order: every policy meets the same.
        streams = [[seed, LEAD_STREAM, zlib.crc32(link.encode())] for link in links]
        self._random = [np.random.default_rng(np.random.SeedSequence(s)) for s in streams]
        self._streams = np.arange(len(links))
        self._varied = bool((settings.lead_high > settings.lead_low).any())
        self.in_force: Floats = np.empty(0)
        self.changes = np.zeros(len(links), dtype=np.int64)
        """Orders after the first, [links]."""
        self.latest = np.zeros(len(links), dtype=np.bool_)
        """Links that the latest request orders a change for, [links]."""
        self._ordered: Floats = np.empty(0)
        self._ordered_at = np.full(len(links), -np.inf)
        self._applied = np.zeros(len(links), dtype=np.int64)
        self._under_way: dict[tuple[int, float], OrderUnderWay] = {}
        self._number = 0

    def for_links(self, links: Ints) -> Provisioning:
        """Return one that goes on from here for some links, which may come several times."""
        some = of_columns(self, links)
        some._settings = self._settings.for_links(links)
        some._random = copy.deepcopy(self._random)
        some._under_way = {}
        for key, (at, changed, mbps) in self._under_way.items():
            of = np.flatnonzero(np.isin(links, changed))
            if len(of):
                values = mbps[np.searchsorted(changed, links[of])]
                some._under_way[key] = OrderUnderWay(at, of, values)
        return some

    @property
    def under_way(self) -> list[Order]:
        """The orders that have not taken effect."""
        return [
            Order(at, number, links, mbps)
            for (number, at), (_, links, mbps) in self._under_way.items()
        ]

    def alike(self, tick_s: int) -> bool:
        """Return whether decisions cover the same intervals on all links, at every tick."""
        usual = self._settings.commitment(tick_s)
        same = all((each == each[0]).all() for each in (usual.first, usual.last))
        return bool(self._number and same and not self._settings.cooldown.any())

    def begin(self, in_force: Floats, granted: Floats) -> None:
        """Take over from requests that were in force at once: `granted`, [intervals, links]."""
        self._number = 1
        self._ordered = self.in_force = in_force
        self.changes = np.count_nonzero(np.diff(granted, axis=0), axis=0).astype(np.int64)

    def change(self, settings: LinkSettings) -> None:
        """Let other settings hold from now on; orders that are under way stay as they are."""
        self._settings = settings
        self._varied = bool((settings.lead_high > settings.lead_low).any())

    def commitment(self, now: float, tick_s: int) -> Commitment:
        """Return which intervals a decision taken at `now` covers."""
        usual = self._settings.commitment(tick_s)
        if not self._number:
            # In force at once, until that of the next tick has taken effect.
            last = np.ceil(self._settings.lead_high / tick_s).astype(np.int64)
            return usual._replace(first=np.zeros_like(last), last=last)
        waits = self._settings.cooldown > 0
        ready = ~waits | (now - self._ordered_at >= self._settings.cooldown)
        under_way = tuple(self._under_way.values())
        return usual._replace(open=ready, ordered_mbps=self._ordered, under_way=under_way)

    def request(self, requested: Floats, now: float) -> list[Order]:
        """Take the request of this tick; return the orders that take effect later."""
        leads = self._leads()
        target = self._settings.rounded(requested)
        self.latest = np.zeros(len(target), dtype=np.bool_)
        if not self._number:
            self._number = 1
            self._ordered = self.in_force = target
            return []
        orders = self._wanted(target) & (now - self._ordered_at >= self._settings.cooldown)
        if not orders.any():
            return []
        self._number += 1
        self.latest = orders
        self.changes += orders
        self._ordered = np.where(orders, target, self._ordered)
        self._ordered_at = np.where(orders, now, self._ordered_at)
        at_once = orders & (leads == 0)
        self.in_force = np.where(at_once, target, self.in_force)
        self._applied[at_once] = self._number
        later = []
        for lead in np.unique(leads[orders & (leads > 0)]):
            links = np.flatnonzero(orders & (leads == lead))
            values = target[links]
            for array in (links, values):
                array.setflags(write=False)
            order = Order(now + float(lead), self._number, links, values)
            self._under_way[order.number, order.at] = OrderUnderWay(order.at, links, values)
            later.append(order)
        return later

    def apply(self, order: Order) -> None:
        """Let an order take effect, unless a later one has."""
        self._under_way.pop((order.number, order.at), None)
        links = order.links[self._applied[order.links] < order.number]
        values = order.values[np.isin(order.links, links)]
        self.in_force = self.in_force.copy()
        self.in_force[links] = values
        self._applied[links] = order.number

    def _wanted(self, target: Floats) -> Bools:
        up = target > self._ordered * (1 + self._settings.up)
        return up | (target < self._ordered * (1 - self._settings.down))

    def _leads(self) -> Floats:
        low, high = self._settings.lead_low, self._settings.lead_high
        if not self._varied:
            return low
        drawn = np.array([stream.uniform() for stream in self._random])[self._streams]
        # low + U (high - low), U uniform on [0, 1), rounded to whole seconds.
        return np.round(low + drawn * (high - low))
