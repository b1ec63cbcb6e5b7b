"""The environment: an agent sees and gets what a policy would, and pays what the account says."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from gymnasium.utils.env_checker import check_env

import twin
from twin.batches.plan.identity import seed_of
from twin.gym import DEFAULT_PRICES, ENV_ID, ProvisioningEnv

DEMAND = {"facilities": 2, "length": "6d"}
PLAIN: dict[str, Any] = {"name": "plain", "demand": DEMAND, "replay": {"duration": "6h"}}
PROVISIONED: dict[str, Any] = {
    **PLAIN,
    "links": {
        "defaults": {"step": 50, "change_cost": 3, "lead_time": {"low": "7min", "high": "20min"}},
        "link-1": {"capacity_mbps": 1500, "cooldown": "15min"},
    },
    "prices": {"capacity": 0.02, "unmet_gbit": 5, "violated_minute": 1},
}
EVENTFUL: dict[str, Any] = {
    **PLAIN,
    "links": {"defaults": {"capacity_mbps": 900, "change_cost": 2}},
    "events": [
        {"kind": "surge", "start": "1h 1min", "duration": "33min", "factor": 2, "ramp": "5min"},
        {"kind": "link_failure", "links": ["link-2"], "start": "2h", "duration": "12min 30s"},
        {"kind": "capacity_change", "start": "3h", "duration": "1h", "factor": 0.5},
        {"kind": "telemetry_gap", "links": ["link-1"], "start": "4h", "duration": "20min"},
    ],
}


def _dated() -> dict[str, Any]:
    """A trace with dates across the change of the clock, and with a gap."""
    times = pd.date_range("2026-03-24", periods=6 * 288, freq="5min", tz="UTC")
    load = 500 + 200 * np.sin(np.arange(len(times)) / 46)
    frame = pd.DataFrame({"a": load, "b": load / 2}, index=times)
    frame.iloc[1500:1530, 0] = np.nan
    scenario = twin.Simulation(twin.Trace.from_frame(frame), ["static_p95"]).scenario
    return {"scenario": scenario}


def _made(keys: dict[str, Any], **more: Any) -> ProvisioningEnv:
    arguments = keys if "scenario" in keys else {"scenario": keys}
    return ProvisioningEnv(**arguments, **more)


def _episode(env: ProvisioningEnv, seed: int | None = None) -> list[dict[str, Any]]:
    """Go through an episode that allocates the highest of the last quarter, and 10 %."""
    seen, _ = env.reset(seed=seed)
    infos: list[dict[str, Any]] = []
    over = False
    while not over:
        action = np.clip(seen["demand"][-3:].max(axis=0) * 1.1, 0, 1)
        seen, reward, ended, over, info = env.step(action)
        infos.append({**info, "reward": reward, "ended": ended})
    return infos


KINDS = pytest.mark.parametrize(
    "make",
    [lambda: PLAIN, lambda: PROVISIONED, lambda: EVENTFUL, _dated],
    ids=["plain", "provisioned", "eventful", "dated"],
)


@KINDS
def test_gymnasium_finds_nothing_to_complain_about(make: Any) -> None:
    keys = make()
    arguments = keys if "scenario" in keys else {"scenario": keys}
    check_env(gymnasium.make(ENV_ID, **arguments).unwrapped)


@KINDS
def test_the_rewards_are_minus_the_cost_of_the_summary(make: Any) -> None:
    env = _made(make())
    infos = _episode(env)
    summary = env.result.summary.set_index("link")
    assert -sum(info["reward"] for info in infos) == pytest.approx(summary.loc["all", "cost"])
    by_link = sum(info["account"]["cost"] for info in infos)
    assert by_link == pytest.approx(summary.loc[list(env.links), "cost"].to_numpy())
    assert [info["ended"] for info in infos] == [False] * len(infos)
    assert summary.loc["all", "cost"] > 0


def test_an_agent_provisions_a_network_whose_traffic_moves() -> None:
    env = ProvisioningEnv("fibre_cut")
    infos = _episode(env)
    summary = env.result.summary
    total = summary.loc[summary["link"] == "all", "cost"].iloc[0]
    assert -sum(info["reward"] for info in infos) == pytest.approx(total, rel=1e-12)
    # A circuit is cut, and what it carried is on other links.
    assert any(np.isin(0.0, info["account"]["capacity_mbps"]) for info in infos)


@KINDS
def test_the_account_is_that_of_the_intervals(make: Any) -> None:
    env = _made(make())
    infos = _episode(env)
    table = env.result.intervals
    for name in infos[0]["account"].keys() - {"cost"}:
        own = np.array([info["account"][name] for info in infos])
        columns = table[name].to_numpy().reshape(len(env.links), -1)
        np.testing.assert_allclose(own.T, columns, rtol=1e-12, err_msg=name)
    if "time" in table:
        times = table.drop_duplicates("interval")["time"]
        assert [pd.Timestamp(info["time"]) for info in infos] == [pd.Timestamp(t) for t in times]


class Recorded(twin.Policy):
    """Decides as the agent of `_episode` does, and keeps what it saw."""

    def fit(self, history: twin.History) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def allocate(self, observation: twin.Observation) -> Any:
        window = np.array(observation.demand_mbps[-12:])
        self.seen.append((window, observation.down, observation.capacity_mbps, observation.time))
        filled = pd.DataFrame(window).ffill().to_numpy()
        return np.minimum(np.nanmax(filled[-3:], axis=0) * 1.1, observation.capacity_mbps)


@pytest.mark.parametrize("keys", [PROVISIONED, EVENTFUL], ids=["provisioned", "eventful"])
def test_an_agent_gets_what_a_policy_gets_that_asks_for_the_same(keys: dict[str, Any]) -> None:
    env = _made(keys, ceiling_mbps=10_000)
    _episode(env)
    other = twin.run({**keys, "policies": [Recorded]}).intervals
    columns = ["demand_mbps", "allocated_mbps", "capacity_mbps", "unmet_mbps", "violation_s"]
    own = env.result.intervals[columns].to_numpy()
    np.testing.assert_allclose(own, other[columns].to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("make", [lambda: EVENTFUL, _dated], ids=["eventful", "dated"])
def test_an_agent_sees_what_a_policy_sees(make: Any) -> None:
    env = _made(make())
    scenario = env.scenario
    links = {
        name: link.model_dump(exclude_unset=True) for name, link in scenario.spec.links.items()
    }
    simulation = twin.Simulation(
        scenario.trace,
        [Recorded()],
        events=scenario.spec.events,
        links=links,
        replay={"duration": "6h"},
    )
    simulation.run()
    policy: Any = simulation._lanes[0].policy
    seen, _ = env.reset()
    for window, down, capacity, time in policy.seen:
        known = ~np.isnan(window)
        assert (seen["missing"] == ~known).all()
        shares = window / env.ceiling_mbps
        np.testing.assert_allclose(seen["demand"][known], shares[known])
        assert (seen["down"] == down).all()
        np.testing.assert_allclose(seen["capacity"], np.minimum(capacity / env.ceiling_mbps, 1))
        if time is not None:
            day = 2 * np.pi * (time.hour + time.minute / 60) / 24
            week = (2 * np.pi * time.weekday() + day) / 7
            clock = [np.sin(day), np.cos(day), np.sin(week), np.cos(week)]
            np.testing.assert_allclose(seen["clock"], clock, atol=1e-12)
        seen, *_ = env.step(np.full(len(env.links), 0.5))


def test_a_gap_shows_the_last_known_demand() -> None:
    env = _made({**PLAIN, "events": [
        {"kind": "telemetry_gap", "start": "30min", "duration": "2h"}]}, window=3)  # fmt: skip
    seen, _ = env.reset()
    for _ in range(6):
        before = seen["demand"][-1]
        seen, *_ = env.step(np.full(2, 0.5))
    before = seen["demand"][-1].copy()
    assert not seen["missing"].any()
    for _ in range(5):
        seen, *_ = env.step(np.full(2, 0.5))
    assert seen["missing"].all()
    assert (seen["demand"] == before).all()


def test_a_seed_is_that_of_a_run_and_the_next_episode_a_replication() -> None:
    env = _made(PLAIN)
    own = [_episode(env, seed) for seed in (None, None, 5, None, 5)]
    seeds = [1, seed_of(1, 1), 5, seed_of(5, 1), 5]
    for infos, seed in zip(own, seeds, strict=True):
        run = twin.run({**PLAIN, "policies": ["static_p95"]}, seed=seed).recording.demand
        assert (np.array([info["account"]["demand_mbps"] for info in infos]) == run).all()
    assert [i["reward"] for i in own[2]] == [i["reward"] for i in own[4]]


def test_prices_are_the_scenarios_or_stated_ones() -> None:
    assert _made(PROVISIONED).scenario.spec.prices.unmet_gbit == 5
    assert _made(PLAIN).scenario.spec.prices == DEFAULT_PRICES
    env = _made(PLAIN)
    env.reset()
    _, reward, *_, info = env.step(np.array([0.0, 1.0]))
    demand, over = info["account"]["demand_mbps"][0], env.ceiling_mbps[1]
    # Nothing allocated on the first link: all of its demand is unmet, Gbit in 300 s.
    assert reward == pytest.approx(-(2 * demand * 0.3 + 0.01 * over / 12))


def test_a_ceiling_is_the_capacity_or_twice_the_highest_demand_of_the_history() -> None:
    env = _made(PROVISIONED)
    trace, span = env.scenario.trace, env.scenario.span
    assert env.ceiling_mbps.tolist() == [1500, 2 * trace.demand_mbps[: span.history, 1].max()]
    assert _made(PLAIN, ceiling_mbps=[100, 200]).ceiling_mbps.tolist() == [100, 200]


def _message(call: Any) -> str:
    with pytest.raises(twin.InputError) as caught:
        call()
    return str(caught.value)


def test_what_cannot_be_used_is_refused() -> None:
    env = _made({**PLAIN, "replay": {"duration": "10min"}})
    half = np.full(2, 0.5)
    assert _message(lambda: env.step(half)) == "no episode has begun; reset() begins one"
    env.reset()
    for action in (np.full(3, 0.5), np.array([0.5, 1.5]), np.array([0.5, np.nan])):
        assert _message(lambda action=action: env.step(action)).startswith(
            "action: must be 2 shares of the ceiling, from 0 to 1, not array("
        )
    assert not env.step(half)[3]
    assert env.step(half)[3]
    assert _message(lambda: env.step(half)) == "the episode has ended; reset() begins the next"
    assert _message(lambda: env.reset(options={"sed": 1})) == "options: has no key 'sed'"
    assert _message(lambda: _made(PLAIN, window=0)) == (
        "window: must be a whole number from 1, not 0"
    )
    assert _message(lambda: _made(PLAIN, ceiling_mbps=[1, 2, 3])) == (
        "ceiling_mbps: must be Mbit/s above 0, one or 2, not a list"
    )
    source = twin.LiveSource(env.scenario.trace)
    live = twin.Simulation(source, ["static_p95"]).scenario
    assert _message(lambda: _made({"scenario": live})) == (
        "scenario: was made on a live source, which cannot be run again"
    )


def test_twin_does_not_import_gymnasium_and_says_what_is_missing() -> None:
    code = (
        "import sys, twin; assert 'gymnasium' not in sys.modules; "
        "sys.modules['gymnasium'] = None; twin.gym"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: twin.gym needs Gymnasium: pip install 'twin[gym]'"
    )


def test_the_agent_of_the_docs_beats_static_rules_on_the_part_it_has_not_seen() -> None:
    names: dict[str, Any] = {}
    text = (ROOT / "docs" / "gym.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "gym.md", "exec", dont_inherit=True), names)
    static = names["by_policy"]
    assert names["agent"] < 0.8 * static[["static_p95", "static_mean2sigma"]].min()
    learn, judge = names["learn"].scenario, names["judge"].scenario
    assert learn.span.first + learn.span.intervals <= judge.span.first
    # The same level for all of the unseen day, chosen with hindsight, costs more too.
    demand = judge.trace.demand_mbps[judge.span.first :][: judge.span.intervals, 0]
    levels = np.linspace(demand.min(), demand.max(), 200)
    hindsight = min(
        0.01 * level * 24 + 2 * 0.3 * np.maximum(demand - level, 0).sum() for level in levels
    )
    assert names["agent"] < hindsight
