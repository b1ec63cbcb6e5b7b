"""A simulation as an environment for reinforcement learning (needs Gymnasium).

An agent takes the place of a policy. At each tick it sees what a policy sees, in arrays of fixed
shapes; its action is the allocation of the coming interval, and its reward minus what that interval
then cost. ``import twin`` does not load this module, and nothing else needs Gymnasium.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    import gymnasium
    from gymnasium import spaces
except ModuleNotFoundError as error:
    if error.name != "gymnasium":
        raise
    _REMEDY = "twin.gym needs Gymnasium: pip install 'twin[gym]'"
    raise ModuleNotFoundError(_REMEDY, name=error.name) from None

from twin.account.block import AccountBlock, blocks
from twin.account.metrics import Metrics
from twin.account.prices import PricesSpec, priced
from twin.api.run import checked_scenario
from twin.api.simulation import Simulation
from twin.batches.plan.identity import seed_of
from twin.batches.plan.payload import seeded
from twin.core import clock
from twin.core.arrays import Bools, Floats
from twin.core.errors import InputError, Problem, show
from twin.core.units import DAY_S
from twin.engine.links import link_specs
from twin.engine.shown import observation_of
from twin.events.base import Phase
from twin.policy.base import Observation, Policy
from twin.policy.services import serving
from twin.results.result import Result
from twin.scenario.cache import Cache
from twin.scenario.load import Scenario

__all__ = ["DEFAULT_PRICES", "ENV_ID", "Agent", "ProvisioningEnv"]

ENV_ID: Final = "twin/Provisioning-v0"
"""The name for ``gymnasium.make``."""
DEFAULT_PRICES: Final = PricesSpec(capacity=0.01, unmet_gbit=2.0)
"""Where a scenario states none: 0.01 per Mbit/s and hour allocated, 2 per Gbit unmet."""
_MOST: Final = float(np.finfo(np.float64).max)
"""Demand has no bound, and Gymnasium wants a finite one."""

Seen = dict[str, NDArray[Any]]


class Agent(Policy):
    """Stands in a simulation for whoever acts in the environment."""

    def allocate(self, observation: Observation) -> ArrayLike:  # noqa: ARG002
        """Return what the last action asked for, Mbit/s, [links]."""
        return self._request

    def take(self, request_mbps: Floats) -> None:
        """Take what is to be answered next."""
        self._request = request_mbps


class SteeredSimulation(Simulation):
    """A simulation with one policy, an agent, that stops before each of its decisions."""

    def until_decision(self, request_mbps: Floats | None = None) -> None:
        """Let the agent ask for `request_mbps`, and everything happen up to its next decision.

        Without a request only what comes before the first decision happens.
        """
        with self._at_work():
            self._fit()
            if request_mbps is not None:
                agent: Any = self._lanes[0].policy
                agent.take(request_mbps)
                self._agenda.step()
            while not (self.finished or self._agenda.is_next(Phase.DECIDE)):
                self._agenda.step()

    def observe(self, samples: int) -> tuple[Observation, Floats, Floats]:
        """Return what a policy would see now, the demand of the last `samples`, and that known.

        Mbit/s, [samples, links] with NaN where missing, and [links].
        """
        closed = self._services.closed = self.span.first + self._interval
        seen = observation_of(self.links, self._source, self._network, self._interval, closed)
        with serving(self._services):
            demand = np.array(seen.demand_mbps[max(closed - samples, 0) :])
            return seen, demand, np.array(seen.last_known_mbps)

    @property
    def in_force_mbps(self) -> Floats:
        """What is provisioned now, Mbit/s, [links]; nothing before the first decision."""
        if not self._decided:
            return np.zeros(len(self.links))
        in_force: Floats = np.minimum(self._lanes[0].in_force, self._network.nominal)
        return in_force

    @property
    def orders(self) -> Floats | None:
        """Orders after the first, [links]; None where each change of the allocation is one."""
        provisioning = self._lanes[0].provisioning
        return None if provisioning is None else provisioning.changes.astype(np.float64)

    @property
    def account(self) -> AccountBlock:
        """The account of the interval that closed last; its arrays are [links]."""
        recording = self._recorder.latest(self._lanes, self._load)
        parts = list(blocks(recording, recording.lanes[0]))

        def joined(arrays: list[Any]) -> Floats:
            return np.concatenate([np.broadcast_to(a, (len(a), 1))[:, 0] for a in arrays])

        metrics = Metrics(
            *(joined([getattr(part.metrics, each.name) for part in parts])
              for each in fields(Metrics))
        )  # fmt: skip
        return AccountBlock(
            self.links,
            joined([part.demand for part in parts]),
            joined([part.requested for part in parts]),
            joined([part.allocated for part in parts]),
            None if parts[0].capacity is None else joined([part.capacity for part in parts]),
            metrics,
        )


class ProvisioningEnv(gymnasium.Env[Seen, Floats]):
    """Links to provision, interval by interval.

    An action, [links], is the allocation of the coming interval as a share of each link's ceiling
    (:attr:`ceiling_mbps`), 0 to 1. It goes the way of a policy's request: through the limits, steps
    and lead times of the scenario's `links`.

    An observation is a dictionary of arrays, float64 but for the flags, which are int8:

    - `demand`, [window, links]: the last closed intervals, oldest first, as shares of the ceiling;
      of a missing one the last that is known;
    - `missing`, [window, links]: 1 where the demand is not known (yet);
    - `allocated`, [links]: what was in force at the end of the last interval, as a share of the
      ceiling; 0 before the first decision;
    - `capacity`, [links]: what of the ceiling the link can carry now, down or not;
    - `down`, [links]: 1 where the link is down;
    - `clock`, [4]: sine and cosine of the time of day, then of the week, when the coming interval
      begins; local where the trace has dates, else counted from its first sample.

    The reward is minus what the interval cost, under the scenario's `prices` (`DEFAULT_PRICES`
    where it states none) and its `links.*.change_cost`. Missing intervals cost nothing. The rewards
    of an episode add up to minus the `cost` of its summary.

    An episode is the replay. Its end is a limit of time: ``truncated`` is true there, and
    ``terminated`` never. The scenario's own policies are not run.

    ``reset(seed=...)`` takes the seed of the scenario, as ``twin run --seed``. Without one the next
    episode is the next replication of a sweep: the first has the scenario's own seed.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        scenario: str | Path | Mapping[str, Any] | Scenario,
        *,
        overrides: Mapping[str, Any] | Sequence[str] | str = (),
        window: int = 12,
        ceiling_mbps: float | Sequence[float] | None = None,
    ) -> None:
        """Read and check everything; `scenario` and `overrides` are as for :func:`twin.run`.

        `window` is how many closed intervals are observed. `ceiling_mbps` is what an action of 1
        allocates, for all links or each: by default a link's capacity at the start, and of one
        without a limit twice the highest demand of its history. Raises InputError.
        """
        self.scenario = _with_agent(scenario, overrides)
        """What is simulated, as checked."""
        self.window = _positive("window", window)
        self._cache = Cache()
        self._base_seed, self._replication = self.scenario.spec.seed, -1
        self._simulation = SteeredSimulation.of(self.scenario)
        self._allocated: Floats
        """Of the last known interval, [links]; NaN before the first."""
        self._orders: Floats
        specs = link_specs(self.scenario.spec.links, self.scenario.links)
        self._change_cost = np.array([spec.change_cost for spec in specs])
        self.links = self._simulation.links
        """Names of the links, in the order of every array's last axis."""
        self.ceiling_mbps = self._ceiling(ceiling_mbps)
        """What an action of 1 allocates, Mbit/s, [links]."""
        self.action_space = spaces.Box(0.0, 1.0, (len(self.links),), np.float64)
        self.observation_space = _observed(self.window, len(self.links))
        self._begin(self._simulation)

    @property
    def result(self) -> Result:
        """What has been recorded of the episode so far, as of a run."""
        return self._simulation.result

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode; the info has its `seed` and the `links`. `options` has no keys."""
        super().reset(seed=seed)
        if options:
            raise InputError(Problem(f"has no key {show(next(iter(options)))}", "options"))
        if seed is None:
            self._replication += 1
        else:
            self._base_seed, self._replication = seed, 0
        number = seed_of(self._base_seed, self._replication)
        self._begin(SteeredSimulation.of(_seeded(self.scenario, number, self._cache)))
        self._simulation.until_decision()
        return self._observation(), {"seed": number, "links": self.links}

    def step(self, action: Floats) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Allocate for the coming interval, and let it pass.

        The info has its `interval`, its start as `start_s` and, where the trace has dates, `time`,
        its `cost`, and its `account`: the columns of intervals.parquet and the cost, [links].
        Raises InputError for an action that is not in the action space.
        """
        simulation = self._simulation
        if simulation.finished:
            raise InputError("the episode has ended; reset() begins the next")
        if self._replication < 0:
            raise InputError("no episode has begun; reset() begins one")
        simulation.until_decision(self._request(action))
        account = simulation.account
        cost = self._cost(account)
        self._allocated = np.where(np.isnan(account.demand), self._allocated, account.allocated)
        seen, interval = self._observation(), simulation.closed - 1
        info = {
            "interval": interval,
            "start_s": float(interval * simulation.tick_s),
            "time": self._time(interval),
            "cost": float(cost.sum()),
            "account": _columns(account, cost),
        }
        return seen, -float(cost.sum()), False, simulation.finished, info

    def _begin(self, simulation: SteeredSimulation) -> None:
        self._simulation = simulation
        self._allocated = np.full(len(self.links), np.nan)
        self._orders = np.zeros(len(self.links))

    def _request(self, action: Floats) -> Floats:
        shares = np.asarray(action)
        if not self.action_space.contains(shares):
            what = (
                f"must be {len(self.links)} shares of the ceiling, from 0 to 1, not {show(action)}"
            )
            raise InputError(Problem(what, "action"))
        return np.asarray(shares * self.ceiling_mbps, dtype=np.float64)

    def _cost(self, account: AccountBlock) -> Floats:
        """Return what the latest interval cost, [links], as the summary adds it up."""
        prices, metrics = self._simulation.scenario.spec.prices, account.metrics
        assert prices is not None
        known = ~np.isnan(account.demand)
        cost = priced(
            prices, account.allocated, metrics.violation_s, metrics.unmet, self._simulation.tick_s
        )
        orders = self._simulation.orders
        if orders is None:
            before = self._allocated
            changed = known & ~np.isnan(before) & (account.allocated != before)
        else:
            changed, self._orders = orders > self._orders, orders
        return np.asarray(np.where(known, cost, 0.0) + changed * self._change_cost)

    def _observation(self) -> Seen:
        seen, demand, last_known = self._simulation.observe(self.window)
        missing = np.isnan(demand)
        if (rows := self.window - len(demand)) > 0:
            demand = np.concatenate([np.full((rows, demand.shape[1]), np.nan), demand])
            missing = np.isnan(demand)
        shares = _filled(demand, missing, last_known) / self.ceiling_mbps
        return {
            "demand": shares,
            "missing": missing.astype(np.int8),
            "allocated": self._simulation.in_force_mbps / self.ceiling_mbps,
            "capacity": np.minimum(seen.capacity_mbps / self.ceiling_mbps, 1.0),
            "down": seen.down.astype(np.int8),
            "clock": self._clock(seen),
        }

    def _clock(self, seen: Observation) -> Floats:
        if seen.time is None:
            since = float(seen.closed * seen.tick_s)
        else:
            time = seen.time
            day = time.hour * 3600 + time.minute * 60 + time.second
            since = float(time.weekday() * DAY_S + day)
        turns = 2 * np.pi * since / np.array([DAY_S, 7 * DAY_S])
        return np.stack([np.sin(turns), np.cos(turns)], axis=1).ravel()

    def _time(self, interval: int) -> str | None:
        trace = self._simulation.scenario.trace
        moment = trace.time(self._simulation.span.first + interval)
        return None if moment is None else clock.local(moment, trace.timezone).isoformat()

    def _ceiling(self, stated: float | Sequence[float] | None) -> Floats:
        if stated is not None:
            try:
                given = np.broadcast_to(np.asarray(stated, dtype=np.float64), (len(self.links),))
            except (TypeError, ValueError):
                given = np.zeros(1)
            if not (np.isfinite(given).all() and (given > 0).all()):
                what = f"must be Mbit/s above 0, one or {len(self.links)}, not {show(stated)}"
                raise InputError(Problem(what, "ceiling_mbps"))
            return given.copy()
        self._simulation.until_decision()
        seen, demand, _ = self._simulation.observe(self._simulation.span.history)
        peak = np.nan_to_num(demand, nan=0.0).max(axis=0, initial=0.0)
        unlimited = ~np.isfinite(seen.capacity_mbps) | (seen.capacity_mbps <= 0)
        return np.asarray(np.where(unlimited, np.maximum(2 * peak, 1.0), seen.capacity_mbps))


def _with_agent(
    scenario: str | Path | Mapping[str, Any] | Scenario,
    overrides: Mapping[str, Any] | Sequence[str] | str,
) -> Scenario:
    """Return the scenario with an agent in place of its policies, and with prices."""
    if isinstance(scenario, Mapping):
        # The policies of a file are not run, so that a mapping needs none.
        scenario = {"policies": ["static_p95"], **scenario}
    checked = checked_scenario(scenario, [Agent()], overrides, None)
    if checked.spec.prices is None:
        priced_spec = checked.spec.model_copy(update={"prices": DEFAULT_PRICES})
        checked = replace(checked, spec=priced_spec)
    return checked


def _seeded(scenario: Scenario, seed: int, cache: Cache) -> Scenario:
    if scenario.given.trace is None:
        return seeded(scenario, seed, cache)
    return replace(scenario, spec=scenario.spec.model_copy(update={"seed": seed}))


def _observed(window: int, links: int) -> Any:  # of spaces.Dict the type of values is lost
    return spaces.Dict({
        "demand": spaces.Box(0.0, _MOST, (window, links), np.float64),
        "missing": spaces.MultiBinary((window, links)),
        "allocated": spaces.Box(0.0, _MOST, (links,), np.float64),
        "capacity": spaces.Box(0.0, 1.0, (links,), np.float64),
        "down": spaces.MultiBinary(links),
        "clock": spaces.Box(-1.0, 1.0, (4,), np.float64),
    })  # fmt: skip


def _filled(demand: Floats, missing: Bools, last_known: Floats) -> Floats:
    """Return the demand with the value before in place of one that is missing.

    Where none came before within the window, the last known one; 0 where there is none at all.
    """
    rows = np.where(missing, -1, np.arange(len(demand))[:, None])
    latest = np.maximum.accumulate(rows, axis=0)
    values = np.take_along_axis(demand, np.maximum(latest, 0), axis=0)
    return np.asarray(np.where(latest >= 0, values, np.nan_to_num(last_known)))


def _columns(account: AccountBlock, cost: Floats) -> dict[str, Floats]:
    metrics = account.metrics
    unlimited = np.full(len(cost), np.inf)
    return {
        "demand_mbps": account.demand,
        "requested_mbps": account.requested,
        "allocated_mbps": account.allocated,
        "capacity_mbps": unlimited if account.capacity is None else account.capacity,
        "served_mbps": metrics.served,
        "unmet_mbps": metrics.unmet,
        "efficiency": metrics.efficiency,
        "wastage": metrics.wastage,
        "utilization": metrics.utilization,
        "over_provisioning_mbps": metrics.over_provisioning,
        "violation_s": metrics.violation_s,
        "cost": cost,
    }


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(Problem(f"must be a whole number from 1, not {show(value)}", name))
    return value


gymnasium.register(id=ENV_ID, entry_point="twin.gym:ProvisioningEnv")
