"""Policies beside the paper's: what each promises, on demands where that can be told."""

from __future__ import annotations

import importlib.util
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Maker, row

import twin
from twin import InputError
from twin.core import content
from twin.policy.commitment import Commitment
from twin.policy.load import load

RNG: np.random.Generator
"""Begins anew in each test."""
SEASON = 96


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before() -> None:
    global RNG
    RNG = np.random.default_rng(7)


def policy(name: str, **parameters: Any) -> Any:
    return load(content.shipped("policies")[name]).policy(**parameters)


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"test_{name}", content.shipped("policies")[name])
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def seasonal(samples: int, links: int = 2, noise: float = 0.05) -> np.ndarray:
    time = np.arange(samples)[:, None]
    level = 100 * (1 + 0.5 * np.sin(2 * np.pi * (time / SEASON + np.arange(links) / 3)))
    return level * np.exp(noise * RNG.standard_normal((samples, links)))


def history(demand: np.ndarray, **more: Any) -> Any:
    links = tuple(f"link-{i}" for i in range(demand.shape[1]))
    return SimpleNamespace(
        links=links, tick_s=300, samples=len(demand), kpis={"internet": demand},
        demand_mbps=demand, sla_target=0.01, sla_intervals=4_000,
        commitment=Commitment.at_once(len(links)),
        **{"season": np.full(len(links), SEASON), **more},
    )  # fmt: skip


def observation(demand: np.ndarray, **more: Any) -> Any:
    terms = Commitment.at_once(demand.shape[1])
    return SimpleNamespace(
        demand_mbps=demand, latest_mbps=demand[-1], last_known_mbps=demand[-1],
        closed=len(demand), tick_s=300, commitment=terms, **more,
    )  # fmt: skip


# cost_aware


LOOSE = {"target": "50%"}


def test_the_prices_decide_how_many_intervals_are_short(make: Maker) -> None:
    prices = {"dear": 49.0, "cheap": 4.0}
    policies = [
        {"name": name, "use": "cost_aware", "model": "persistence", "shortfall_price": price}
        for name, price in prices.items()
    ]
    summary = twin.run(make(seasonal(4_000), policies, sla=LOOSE)).summary
    assert row(summary, "dear")["sla_violation_rate"] == pytest.approx(0.02, abs=0.005)
    assert row(summary, "cheap")["sla_violation_rate"] == pytest.approx(0.2, abs=0.01)


def requests(result: twin.Result, policy: str) -> np.ndarray:
    table = result.intervals
    return table[table["policy"] == policy]["requested_mbps"].to_numpy()


def test_only_the_ratio_of_the_prices_counts(make: Maker) -> None:
    path = make(
        seasonal(600),
        [
            {"name": "a", "use": "cost_aware", "capacity_price": 1.0, "shortfall_price": 10.0},
            {"name": "b", "use": "cost_aware", "capacity_price": 3.0, "shortfall_price": 30.0},
            {"name": "default", "use": "cost_aware"},
        ],
        sla=LOOSE,
    )
    result = twin.run(path)
    np.testing.assert_allclose(requests(result, "a"), requests(result, "b"))
    np.testing.assert_allclose(requests(result, "a"), requests(result, "default"))


def test_prices_of_the_scenario_are_those_of_an_interval(make: Maker) -> None:
    # 5 minutes: capacity 1, unmet demand 11, so that a shortfall costs 10 more than it saves.
    prices = {"capacity": 12, "unmet_gbit": 11 / 0.3}
    policies = [
        {"name": "told", "use": "cost_aware", "capacity_price": 1, "shortfall_price": 10},
        {"name": "read", "use": "cost_aware"},
    ]
    for entry in policies:
        entry["model"] = "persistence"
    result = twin.run(make(seasonal(600), policies, sla=LOOSE, prices=prices))
    np.testing.assert_allclose(requests(result, "read"), requests(result, "told"), rtol=1e-9)


def test_policies_see_prices_as_plain_numbers(make: Maker) -> None:
    seen = []

    class Reader(twin.Policy):
        def fit(self, history: twin.History) -> None:
            seen.append(history.prices)

        def allocate(self, observation: twin.Observation) -> np.ndarray:
            return observation.last_known_mbps

    prices = {"capacity": 24, "unmet_gbit": 3, "violated_minute": 7}
    twin.run(make(seasonal(60), prices=prices), policies=[Reader])
    twin.run(make(seasonal(60)), policies=[Reader])
    stated, none = seen
    assert none is None
    assert stated == twin.Prices(capacity=pytest.approx(2.0), unmet=pytest.approx(0.9),
                                 violated=pytest.approx(35.0))  # fmt: skip


@pytest.mark.parametrize("prices", [{"capacity": 12}, {"capacity": 12, "unmet_gbit": 50}])
def test_a_cheap_shortfall_is_bounded_by_the_sla(make: Maker, prices: dict[str, float]) -> None:
    policies = [{"use": name, "model": "persistence"} for name in ("cost_aware", "conformal")]
    result = twin.run(make(seasonal(600), policies, sla={"target": "2%"}, prices=prices))
    np.testing.assert_allclose(requests(result, "cost_aware"), requests(result, "conformal"))


@pytest.mark.parametrize(
    "prices",
    [
        {"capacity": 1, "unmet_gbit": 50},
        {"capacity": 1, "violated_minute": 20},
        {"capacity": 1, "unmet_gbit": 20, "violated_minute": 0.5},
    ],
)
def test_what_costs_least_keeps_the_sla_and_is_cheaper_than_what_only_keeps_it(
    make: Maker, prices: dict[str, float]
) -> None:
    policies = [{"use": name, "model": "persistence"} for name in ("cost_aware", "conformal")]
    policies.append({"name": "wide", "use": "rolling_max", "margin": 0.4})
    demand = seasonal(4_000, noise=0.1) * [1, 8]
    summary = twin.run(make(demand, policies, sla={"target": "5%"}, prices=prices)).summary
    assert row(summary, "cost_aware")["worst_burn_rate"] <= 1
    cost = {name: row(summary, name)["cost"] for name in ("cost_aware", "conformal", "wide")}
    assert cost["cost_aware"] < min(cost["conformal"], cost["wide"])


def test_a_price_of_violated_intervals_makes_small_links_safer_than_large_ones(
    make: Maker,
) -> None:
    demand = seasonal(4_000, noise=0.1) * [1, 100]
    prices = {"capacity": 1, "violated_minute": 20}
    policies = [{"use": "cost_aware", "model": "persistence"}]
    summary = twin.run(make(demand, policies, sla={"target": "5%"}, prices=prices)).summary
    small, large = (row(summary, "cost_aware", f"link-{i}")["sla_violation_rate"] for i in (1, 2))
    assert small < 0.2 * large


def test_no_other_share_of_short_intervals_costs_less(make: Maker) -> None:
    policies = [
        {"name": "newsvendor", "use": "cost_aware", "model": "persistence"},
        {"name": "safer", "use": "conformal", "model": "persistence", "target": 0.01},
        {"name": "bolder", "use": "conformal", "model": "persistence", "target": 0.3},
    ]
    table = twin.run(make(seasonal(4_000, noise=0.1), policies, sla=LOOSE)).intervals
    table["cost"] = table["over_provisioning_mbps"] + 10 * table["unmet_mbps"]
    cost = table.groupby("policy")["cost"].mean()
    assert cost["newsvendor"] < min(cost["safer"], cost["bolder"])


@pytest.mark.parametrize("key", ["capacity_price", "shortfall_price"])
def test_a_price_is_above_0(make: Maker, key: str) -> None:
    with pytest.raises(InputError, match="must be above 0"):
        twin.run(make(seasonal(60), [{"use": "cost_aware", key: 0.0}]))


# blend


def test_a_blend_is_nearly_as_good_as_its_best_member_on_every_link(make: Maker) -> None:
    # Persistence is best on a walk, the seasonal fit on a season.
    walk = 1000 + np.cumsum(RNG.standard_normal(3_000))
    demand = np.column_stack([walk, seasonal(3_000, 1)])
    members = ["persistence", "ridge_traffic"]
    alone = [{"name": m, "use": "conformal", "model": m} for m in members]
    both = {"name": "both", "use": "blend", "members": members}
    summary = twin.run(make(demand, [*alone, both])).summary
    for link in ("link-1", "link-2"):
        waste = {n: row(summary, n, link)["over_provisioning_pct"] for n in (*members, "both")}
        assert waste["both"] <= 1.05 * min(waste["persistence"], waste["ridge_traffic"])


def test_a_blend_follows_whichever_member_erred_least_of_late() -> None:
    blend = policy("blend", members=("a", "b"))
    demand = np.full((400, 1), 10.0)
    past = {"a": demand + 1, "b": demand - 4}
    blend.fit(history(demand, forecasts=lambda model, samples, ahead: past[model][-samples:]))
    says = {"a": np.array([10.0]), "b": np.array([500.0])}
    answers = {
        "forecast": lambda model, ahead: says[model],
        "forecast_path": lambda model, n, first: says[model][None],
    }
    assert blend.allocate(observation(demand, **answers))[0] < 20
    for _ in range(200):  # now the other one is right
        demand = np.vstack([demand, [[500.0]]])
        asked = blend.allocate(observation(demand, **answers))
    assert asked[0] >= 500


def test_a_blend_needs_members(make: Maker) -> None:
    with pytest.raises(InputError, match="members must name at least one model"):
        twin.run(make(seasonal(60), [{"use": "blend", "members": []}]))


# quantile


LEVELS = (0.1, 0.5, 0.9, 0.99)
NORMAL = np.array([-1.2816, 0.0, 1.2816, 2.3263])


@pytest.mark.parametrize("scale", [1.0, 0.3, 4.0])
def test_a_model_that_is_too_sure_or_too_shy_is_recalibrated(scale: float) -> None:
    # The model believes in a spread that is `scale` times the true one.
    demand = 100 + 5 * RNG.standard_normal((6_000, 2))
    believed = np.broadcast_to(100 + 5 * scale * NORMAL, (6_000, 2, 4))
    quantile = policy("quantile", target=0.02)
    quantile.fit(history(demand[:2_000], quantiles=lambda model, n, ahead: (believed[:n], LEVELS)))
    short = []
    for sample in range(2_000, 6_000):
        asked = observation(demand[:sample], quantiles=lambda model, ahead: (believed[0], LEVELS))
        short.append(demand[sample] > quantile.allocate(asked))
    assert np.mean(short, axis=0) == pytest.approx(0.02, abs=0.004)


def test_quantiles_are_read_between_levels_and_beyond_them_as_of_a_normal_distribution() -> None:
    weights = module("quantile").weights
    at = 100 + 5 * NORMAL
    for level, expected in ((0.9, 106.408), (0.5, 100), (0.975, 109.8), (0.999, 115.451)):
        assert at @ weights(LEVELS, level) == pytest.approx(expected, abs=0.005)
    assert np.isfinite(weights(LEVELS, 1.0)).all()


def test_a_quantile_policy_stands_gaps_zeros_and_hardly_any_history() -> None:
    for demand in (np.zeros((40, 1)), np.full((40, 1), np.nan), np.ones((4, 1))):
        zeros = np.zeros((len(demand), 1, 4))
        quantile = policy("quantile")
        quantile.fit(history(demand, quantiles=lambda model, n, ahead, q=zeros: (q[:n], LEVELS)))
        for _ in range(3):
            asked = observation(demand, quantiles=lambda model, ahead, q=zeros: (q[0], LEVELS))
            assert 0 <= quantile.allocate(asked)[0] < 2


# percentile_decay


def test_without_forgetting_it_is_the_percentile_of_all_that_was_seen() -> None:
    demand = np.exp(RNG.standard_normal((2_000, 3))) * np.array([1e-3, 1.0, 1e6])
    decay = policy("percentile_decay", q=90.0, half_life="5000w", margin=0.0)
    decay.fit(history(demand))
    found = decay.allocate(observation(demand))
    exact = np.percentile(demand, 90, axis=0)
    assert ((exact <= found) & (found <= 1.06 * exact)).all()  # a bucket is 5 % wide


def test_a_sample_a_half_life_ago_weighs_half() -> None:
    # Two thirds of the weight are on 10: the median jumps when the older 40 weighs less than that.
    decay = policy("percentile_decay", q=50.0, half_life="5min", margin=0.0)
    demand = np.array([[40.0], [40.0], [10.0]])
    decay.fit(history(demand[:2]))
    assert decay.allocate(observation(demand[:2])) == pytest.approx(40, rel=0.05)
    assert decay.allocate(observation(demand)) == pytest.approx(10, rel=0.05)


def test_the_percentile_is_the_same_one_sample_at_a_time_as_all_at_once() -> None:
    demand = np.exp(2 * RNG.standard_normal((3_000, 4)))
    demand[RNG.uniform(size=demand.shape) < 0.1] = np.nan
    steps, once = (policy("percentile_decay", half_life="1h") for _ in range(2))
    for each in (steps, once):
        each.fit(history(demand[:10]))
    answers = [steps.allocate(observation(demand[:end])) for end in range(10, 3_001)]
    np.testing.assert_array_equal(answers[-1], once.allocate(observation(demand)))


def test_weights_stay_finite_however_long_a_run_is() -> None:
    demand = RNG.uniform(1, 9, (5_000, 1))
    decay = policy("percentile_decay", half_life="5min", q=100.0, margin=0.0)  # 2 ** 5000
    decay.fit(history(demand[:5]))
    found = decay.allocate(observation(demand))
    assert demand[-20:].max() <= found <= 1.06 * demand[-40:].max()


# seasonal_max


def test_it_is_the_highest_of_the_same_slots_of_past_seasons() -> None:
    demand = RNG.uniform(50, 100, (500, 2))
    demand[-1] = 0
    seasonal_max = policy("seasonal_max", seasons=3, neighbours=1, margin=0.5)
    seasonal_max.fit(history(demand))
    slots = [500 - turn * SEASON + near for turn in (1, 2, 3) for near in (-1, 0, 1)]
    expected = 1.5 * demand[slots].max(axis=0)
    np.testing.assert_allclose(seasonal_max.allocate(observation(demand)), expected)


def test_a_link_without_a_season_gets_the_maximum_of_the_last_hour() -> None:
    demand = RNG.uniform(50, 100, (500, 2))
    seasonal_max = policy("seasonal_max", margin=0.0)
    seasonal_max.fit(history(demand, season=np.array([0, SEASON])))
    assert seasonal_max.allocate(observation(demand))[0] == demand[-12:, 0].max()


def test_a_lasting_jump_is_followed_at_once(make: Maker) -> None:
    demand = seasonal(800, 1, noise=0.01)
    demand[700:] *= 10
    summary = twin.run(make(demand, ["seasonal_max"])).summary
    assert row(summary, "seasonal_max")["sla_violation_rate"] <= 2 / 400


@pytest.mark.parametrize("key", [{"seasons": 0}, {"neighbours": -1}])
def test_there_is_at_least_one_season(make: Maker, key: dict[str, int]) -> None:
    with pytest.raises(InputError, match="seasons must be at least 1"):
        twin.run(make(seasonal(60), [{"use": "seasonal_max", **key}]))


# oracle


def test_the_oracle_neither_lacks_nor_wastes(make: Maker) -> None:
    found = row(twin.run(make(seasonal(200), ["oracle"])).summary, "oracle")
    assert found["sla_violation_rate"] == 0
    assert found["over_provisioning_mean_mbps"] == 0


def test_the_oracle_says_that_it_is_a_bound_and_nobody_else_does() -> None:
    found = {name for name in content.shipped("policies") if policy(name).bound}
    assert found == {"oracle"}
