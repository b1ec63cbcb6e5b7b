"""The adaptive margin: what it promises, whatever the errors."""

from __future__ import annotations

import numpy as np
import pytest
from adversarial import adversarial_links
from conftest import Maker, row
from numpy.typing import NDArray

import twin
from twin import AdaptiveMargin
from twin.policy.commitment import Commitment

pytestmark = pytest.mark.long

Floats = NDArray[np.float64]


def _covered(
    demand: Floats,
    forecast: Floats,
    target: float = 0.01,
    season: int = 0,
    warm: int = 2_000,
    ahead: int = 0,
    held: int = 1,
) -> Floats:
    """Return the allocations in force from sample `warm` on.

    Decisions are `ahead` samples before the `held` ones that they cover; the forecast of a sample
    is the same for all of them.
    """
    links = demand.shape[1]
    first, every = np.full(links, ahead), np.ones(links, dtype=bool)
    terms = Commitment.at_once(links)._replace(first=first, last=first + held - 1, open=every)
    seasons = np.full(links, season)
    margin = AdaptiveMargin(target, seasons, period=len(demand) - warm, commitment=terms)
    margin.settle(demand[:warm], warm, lambda i: (_rows(forecast, i, held), None))
    allocated = np.full(demand.shape, np.nan)
    for now in range(warm, len(demand)):
        margin.observe(demand[:now])
        # The first decision holds until the next one does.
        begins = now == warm
        first = 0 if begins else ahead
        count = ahead + 1 if begins else held
        span = terms._replace(
            first=terms.first * 0 + first, last=terms.first * 0 + first + count - 1
        )
        opens = (now - warm - 1) % held == 0 or begins

        def path(ahead: int, count: int, now: int = now) -> tuple[Floats, None]:
            return _rows(forecast, now + ahead, count), None

        asked = margin.decide(span._replace(open=every & opens), path)
        if opens:
            allocated[now + first : now + first + max(count, held)] = asked
    return allocated[warm:]


def _rows(forecast: Floats, first: int, count: int) -> Floats:
    return forecast[np.minimum(first + np.arange(count), len(forecast) - 1)]


def _follow(
    demand: Floats, target: float = 0.01, season: int = 0, warm: int = 2_000
) -> tuple[Floats, Floats]:
    """Return allocations over persistence after `warm` samples, and the demand they met."""
    forecast = np.vstack([demand[:1], demand[:-1]])
    return _covered(demand, forecast, target, season, warm), demand[warm:]


@pytest.mark.parametrize("target", [0.05, 0.01, 0.002])
@pytest.mark.parametrize("noise", ["normal", "standard_t", "laplace"])
def test_the_share_of_short_intervals_is_the_target(noise: str, target: float) -> None:
    rng = np.random.default_rng(1)
    draw = rng.standard_t(3, (12_000, 8)) if noise == "standard_t" else getattr(rng, noise)(
        0, 1, (12_000, 8)
    )  # fmt: skip
    allocated, demand = _follow(1_000 + 10 * draw, target)
    assert (demand > allocated).mean() == pytest.approx(target, rel=0.25)


def test_on_gaussian_noise_the_margin_is_the_quantile_of_theory() -> None:
    # Differences of white noise: persistence errs with a deviation of 10 times root 2.
    demand = 1_000 + 10 * np.random.default_rng(2).normal(0, 1, (20_000, 8))
    allocated, met = _follow(demand)
    forecast = np.vstack([demand[1_999:2_000], met[:-1]])
    assert (allocated - forecast).mean() == pytest.approx(2.326 * 10 * np.sqrt(2), rel=0.1)


def test_it_follows_noise_that_grows_and_shrinks_with_the_season() -> None:
    rng = np.random.default_rng(3)
    scale = 10 + 9 * np.sin(np.arange(16_000) * 2 * np.pi / 288)[:, None]
    demand = 1_000 + scale * rng.normal(0, 1, (16_000, 4))
    plain, _ = _follow(demand)
    seasonal, met = _follow(demand, season=288)
    assert (met > seasonal).mean() == pytest.approx(0.01, rel=0.25)
    assert np.maximum(seasonal - met, 0).mean() < 0.97 * np.maximum(plain - met, 0).mean()


def test_a_link_that_sleeps_and_wakes_keeps_its_margin() -> None:
    rng = np.random.default_rng(4)
    awake = (np.arange(12_000) % 288 > 96)[:, None]
    demand = awake * (100 + 5 * rng.normal(0, 1, (12_000, 4)))
    allocated, met = _follow(demand, season=288)
    assert np.isfinite(allocated).all()
    assert (met > allocated).mean() < 0.015
    # Asleep, it is not over-provisioned by more than a fraction of its level.
    assert allocated[met == 0].mean() < 30


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_link_keeps_the_target_whatever_happens_on_it(seed: int) -> None:
    # Half of the links are calm until the replay, and then jump, burst, sleep or shift.
    demand = adversarial_links(seed, links=60, samples=5_000, calm=0.4)
    allocated, met = _follow(demand)
    short = (met > allocated).mean(axis=0)
    assert (short <= 0.01).mean() >= 0.9
    assert short.max() <= 0.012
    assert short.mean() >= 0.008


@pytest.mark.parametrize(("ahead", "held"), [(1, 1), (12, 1), (0, 6), (3, 12)])
def test_decisions_that_take_effect_later_or_stay_hold_the_target(ahead: int, held: int) -> None:
    # A season that is forecast, and an error that drifts: the farther ahead, the less is known.
    rng = np.random.default_rng(11)
    drift = np.zeros((9_000, 6))
    for sample in range(1, len(drift)):
        drift[sample] = 0.9 * drift[sample - 1] + rng.normal(0, 4, 6)
    level = 500 + 200 * np.sin(np.arange(9_000) * 2 * np.pi / 288)[:, None] + np.zeros(6)
    allocated = _covered(level + drift, level, season=288, warm=4_000, ahead=ahead, held=held)
    short = ((level + drift)[4_000:] > allocated).mean(axis=0)
    assert (short <= 0.01).mean() > 0.8
    assert short.max() <= 0.011
    assert short.min() >= 0.004


def test_no_link_changes_another() -> None:
    demand = adversarial_links(4, links=6, samples=1_500)
    order = np.array([3, 0, 5, 1, 4, 2])
    together, _ = _follow(demand, season=96, warm=800)
    permuted, _ = _follow(demand[:, order], season=96, warm=800)
    alone, _ = _follow(demand[:, [3]], season=96, warm=800)
    np.testing.assert_array_equal(permuted, together[:, order])
    np.testing.assert_array_equal(alone, together[:, [3]])


@pytest.mark.parametrize("proportional", [True, False])
def test_noise_in_proportion_to_the_level_or_apart_from_it_gets_the_margin_it_needs(
    proportional: bool,
) -> None:
    # The level is ten times as high for an hour now and then, and forecast without error.
    rng = np.random.default_rng(9)
    level = np.where(rng.uniform(size=(1_000, 4)) < 0.3, 1_000.0, 100.0).repeat(12, axis=0)
    scale = 0.05 * level if proportional else 5.0
    demand = level + scale * rng.standard_normal(level.shape)
    allocated = _covered(demand, level, warm=4_000)
    needed = 2.326 * np.broadcast_to(scale, level.shape)[4_000:].mean()
    assert (allocated - level[4_000:]).mean() == pytest.approx(needed, rel=0.1)


def test_a_link_that_has_overdrawn_its_budget_gets_more_until_it_has_not() -> None:
    # Errors of one size but for a burst of large ones, which comes to one of two equal links.
    errors = 10 * np.random.default_rng(10).standard_normal((9_000, 1)).repeat(2, axis=1)
    errors[4_000:4_400:10, 1] += 500
    margins = _covered(1_000 + errors, np.full(errors.shape, 1_000.0)) - 1_000
    calm, hit = margins.T
    short = errors[2_000:] > margins
    assert hit[2_500:4_000].mean() > 1.2 * calm[2_500:4_000].mean()
    assert (short.mean(axis=0) <= 0.01).all()
    assert (short.mean(axis=0) >= 0.008).all()


def test_one_jump_does_not_blow_the_margin_up() -> None:
    rng = np.random.default_rng(5)
    demand = 100 + rng.normal(0, 1, (6_000, 1))
    demand[4_000:] *= 10
    demand[4_000:] += rng.normal(0, 9, (2_000, 1))
    allocated, met = _follow(demand)
    after = (allocated - met)[2_100:]
    assert 0 < after.mean() < 100


def test_missing_samples_teach_nothing() -> None:
    demand = 100 + np.random.default_rng(6).normal(0, 1, (3_000, 2))
    gaps = demand.copy()
    gaps[2_500:2_600, 0] = np.nan
    allocated = _covered(gaps, np.full(gaps.shape, 100.0))
    assert np.isfinite(allocated).all()
    assert (demand[2_000:] > allocated).mean() == pytest.approx(0.01, abs=0.004)


def test_units_do_not_matter() -> None:
    demand = np.abs(np.random.default_rng(7).normal(100, 5, (3_000, 3)))
    first, _ = _follow(demand, season=288)
    other, _ = _follow(demand * 1e9, season=288)
    np.testing.assert_allclose(other, first * 1e9, rtol=1e-9)


def test_a_constant_link_needs_no_margin() -> None:
    allocated, met = _follow(np.full((3_000, 1), 50.0))
    np.testing.assert_array_equal(allocated, met)


def test_conformal_keeps_the_sla_with_a_fraction_of_the_waste(make: Maker) -> None:
    summary = twin.run("baseline", policies=["conformal", "rolling_max", "static_p95"]).summary
    found = row(summary, "conformal")
    assert 0.007 < found["sla_violation_rate"] <= 0.01
    assert (
        found["over_provisioning_pct"] < 0.3 * row(summary, "rolling_max")["over_provisioning_pct"]
    )
    links = summary[(summary["policy"] == "conformal") & (summary["link"] != "all")]
    assert (links["sla_violation_rate"] <= 0.01).all()


def test_conformal_takes_a_target_of_its_own(make: Maker) -> None:
    demand = 1_000 + 10 * np.random.default_rng(8).normal(0, 1, (8_000, 2))
    policies = [
        {"use": "conformal", "model": "persistence"},
        {"name": "tenth", "use": "conformal", "model": "persistence", "target": "10%"},
    ]
    summary = twin.run(make(demand, policies, sla={"target": "2%"})).summary
    assert row(summary, "conformal")["sla_violation_rate"] == pytest.approx(0.02, rel=0.25)
    assert row(summary, "tenth")["sla_violation_rate"] == pytest.approx(0.1, rel=0.1)


def test_a_link_that_jumps_between_few_values_keeps_the_target() -> None:
    # Most samples are forecast without any error, and one in twenty is a step away.
    rng = np.random.default_rng(6)
    up = (rng.uniform(size=(9_000, 4)) < 0.05).cumsum(axis=0) % 2
    allocated, met = _follow(2.5 + 0.6 * up)
    assert (met > allocated).mean(axis=0).max() <= 0.011
