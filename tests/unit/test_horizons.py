"""Evaluating forecasters by horizon, against calculations that share no code with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Maker

from twin import InputError, Scenario
from twin.cli.evaluate import evaluate_scenario, intervals_ahead
from twin.core import content
from twin.demand.gaps import ArrayFeed
from twin.forecast.forecaster import Forecaster
from twin.studies.evaluation.evaluate import evaluate
from twin.studies.evaluation.horizons import evaluate_horizons
from twin.studies.evaluation.write import save

DAY = 288
BACKBONE = Path(__file__).parents[3] / "shared" / "data" / "uk_backbone_5min.csv.gz"


def noisy(days: int, links: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    day = 300 + 200 * np.sin(np.arange(DAY) * 2 * np.pi / DAY) + rng.normal(0, 20, DAY)
    return np.tile(day, days)[:, None] * rng.uniform(0.98, 1.02, (days * DAY, links))


def row(table: pd.DataFrame, model: str, ahead: int, link: str = "all") -> pd.Series:
    return table.set_index(["model", "ahead", "link"]).loc[(model, ahead, link)]


def test_errors_by_horizon_are_those_of_a_plain_calculation(make: Maker) -> None:
    demand = noisy(8)
    scores = evaluate_horizons(Scenario.load(make(demand)), [0, 5, 300], ["ridge_traffic"]).scores
    half = 4 * DAY
    model = Forecaster.load(content.shipped("models")["ridge_traffic"])
    bound = model.bind(ArrayFeed({"internet": demand}), half, half, stop=2 * half, steps=301)
    forecasts = {k: [] for k in (0, 5, 300)}
    for i in range(half, 2 * half):
        for k, rows in forecasts.items():
            rows.append(bound.at(i, k))
    for k, rows in forecasts.items():
        targets = np.arange(half + k, 2 * half)
        last = demand[targets - k - 1]
        seasons = 1 if k < DAY else 2
        naive = demand[targets - seasons * DAY]
        ridge = np.array(rows)[: len(targets)]
        for link, at in (("link-1", [0]), ("link-2", [1]), ("all", [0, 1])):

            def mae(forecast: np.ndarray, t: np.ndarray = targets, at: list[int] = at) -> float:
                return float(np.abs(forecast[:, at] - demand[t][:, at]).mean())

            for name, forecast in (
                ("persistence", last), ("seasonal_naive", naive), ("ridge_traffic", ridge),
            ):  # fmt: skip
                scored = row(scores, name, k, link)
                assert scored["mae"] == pytest.approx(mae(forecast))
                assert scored["over_persistence"] == pytest.approx(mae(forecast) / mae(last))
                assert scored["over_seasonal"] == pytest.approx(mae(forecast) / mae(naive))
                assert scored["n"] == len(targets) * len(at)
                assert scored["season_s"] == 86_400


def test_the_coming_interval_scores_as_without_a_horizon(make: Maker) -> None:
    scenario = Scenario.load(make(noisy(8)))
    models = ["ridge_traffic", "quantile_traffic"]
    plain, further = evaluate(scenario, models), evaluate_horizons(scenario, [0], models).scores
    for _, each in plain.scores[plain.scores["model"].isin(["persistence", *models])].iterrows():
        same = row(further, each["model"], 0, each["link"])
        assert same["mae"] == pytest.approx(each["mae"], rel=1e-12)
        assert same["over_persistence"] == pytest.approx(each["mase"], rel=1e-12)
        if each["link"] == "all":
            assert same["over_persistence_low"] == pytest.approx(each["mase_low"], rel=1e-12)
    own = plain.quantiles.set_index(["model", "link", "quantile"])
    for level in (0.9, 0.95, 0.99):
        coverage = own.loc[("quantile_traffic", "all", level), "coverage"]
        share = row(further, "quantile_traffic", 0)[f"own_coverage_{100 * level:.0f}"]
        assert share == pytest.approx(coverage)
    assert np.isnan(row(further, "ridge_traffic", 0)["own_coverage_90"])


@pytest.mark.long
def test_one_pass_for_all_models_forecasts_as_one_for_each(make: Maker) -> None:
    scenario = Scenario.load(make(noisy(8)))
    models = ["ridge_traffic", "compact_traffic", "quantile_traffic", "auto"]
    together = evaluate_horizons(scenario, [0, 40], models).scores
    for model in models:
        alone = evaluate_horizons(scenario, [0, 40], [model]).scores
        same = together[together["model"] == model].reset_index(drop=True)
        expected = alone[alone["model"] == model].reset_index(drop=True)
        pd.testing.assert_frame_equal(same, expected, check_exact=True)


def test_what_comes_after_the_samples_scored_changes_no_score(make: Maker) -> None:
    demand = noisy(8)
    tables = []
    for end in (demand[6 * DAY :], np.full((2 * DAY, 2), 7.0)):
        whole = np.concatenate([demand[: 6 * DAY], end])
        scenario = Scenario.load(make(whole, replay={"duration": "2d"}))
        models = ["ridge_traffic", "quantile_traffic", "auto"]
        tables.append(evaluate_horizons(scenario, [0, 12, 300], models).scores)
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert set(tables[0]["n"]) == {576, 564, 276, 2 * 576, 2 * 564, 2 * 276}


def test_missing_samples_are_left_out_and_forecast_from_what_was_seen(make: Maker) -> None:
    demand = noisy(8)
    demand[5 * DAY + 50 : 5 * DAY + 90, 1] = np.nan
    scores = evaluate_horizons(Scenario.load(make(demand)), [0, 60], ["persistence"]).scores
    filled = pd.DataFrame(demand).ffill().to_numpy()
    for k in (0, 60):
        targets = np.arange(4 * DAY + k, 8 * DAY)
        errors = np.abs(filled[targets - k - 1] - demand[targets])
        assert row(scores, "persistence", k, "link-2")["n"] == len(targets) - 40
        assert row(scores, "persistence", k, "link-2")["mae"] == pytest.approx(
            np.nanmean(errors[:, 1])
        )
        # A day after the gap, the seasonal naive forecast is from the day before it.
        naive = demand[targets - DAY]
        naive = np.where(np.isnan(naive), demand[targets - 2 * DAY], naive)
        assert row(scores, "seasonal_naive", k, "link-2")["mae"] == pytest.approx(
            np.nanmean(np.abs(naive - demand[targets])[:, 1])
        )


def test_a_link_without_a_season_has_no_seasonal_forecast(make: Maker) -> None:
    walk = 1_000 + np.random.default_rng(3).normal(size=(8 * DAY, 1)).cumsum(axis=0)
    result = evaluate_horizons(Scenario.load(make(walk)), [0], ["ridge_traffic"])
    assert result.season.tolist() == [0]
    naive = row(result.scores, "seasonal_naive", 0)
    assert (naive["n"], np.isnan(naive["mae"]), np.isnan(naive["season_s"])) == (0, True, True)
    ridge = row(result.scores, "ridge_traffic", 0)
    assert np.isnan(ridge["over_seasonal"])
    assert np.isfinite(ridge["over_persistence"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no horizon; write it like 0,1,12"),
        ("0,-1", "-1 is negative; 0 is the interval that is decided now"),
        ("1.5", "'1.5' is no whole number of intervals; write it like 0,1,12"),
        ("1h", "'1h' is no whole number of intervals; write it like 0,1,12"),
        ("3,12,3", "3 is named twice"),
        ("2017", "2017 is farther than 2016; a week is as far as it goes"),
        (
            "576",
            "576 is not within the replay, which has 576 intervals; "
            "lower 'demand.train' or the horizon",
        ),
    ],
)
def test_a_horizon_that_cannot_be_used_is_refused_in_one_line(
    make: Maker, tmp_path: Path, text: str, message: str
) -> None:
    path, out = make(noisy(4)), tmp_path / "out"
    with pytest.raises(InputError) as error:
        evaluate_scenario(str(path), "ridge_traffic", [], out, force=False, ahead=text)
    assert str(error.value) == f"--ahead: {message}"
    assert not out.exists()


def test_horizons_are_read_from_a_list_with_commas() -> None:
    assert intervals_ahead("0, 1,12 ,") == [0, 1, 12]


def test_horizons_are_written_and_printed_beside_what_was_there(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, plain, further = str(make(noisy(6))), tmp_path / "plain", tmp_path / "further"
    evaluate_scenario(path, "ridge_traffic", [], plain, force=False)
    capsys.readouterr()
    evaluate_scenario(path, "ridge_traffic,auto", [], further, force=False, ahead="0,12")
    printed = capsys.readouterr().out
    assert "Season of seasonal_naive, found in the history: 1d" in printed
    assert "MAE over persistence's at the same horizon" in printed
    table = pd.read_csv(further / "horizons.csv")
    assert len(table) == 4 * 2 * 3
    assert list(table["model"].unique()) == [
        "persistence", "seasonal_naive", "ridge_traffic", "auto",
    ]  # fmt: skip
    assert (further / "figures" / "error_by_horizon.png").read_bytes().startswith(b"\x89PNG")
    for file in ("evaluation.csv", "errors_by_hour.csv"):
        assert (plain / file).read_bytes() == (further / file).read_bytes()
    # Without horizons, those of before are gone.
    save(evaluate(Scenario.load(path), ["ridge_traffic"]), further, force=True)
    assert not (further / "horizons.csv").exists()
    assert not (further / "figures" / "error_by_horizon.png").exists()


@pytest.mark.skipif(not BACKBONE.exists(), reason="the backbone trace is not here")
@pytest.mark.long
def test_the_linear_reference_errs_on_the_backbone_as_the_readme_says(tmp_path: Path) -> None:
    path = tmp_path / "backbone.yaml"
    path.write_text(
        f"name: backbone\ndemand: {{source: csv, path: {BACKBONE}}}\npolicies: [static_p95]\n"
    )
    scores = evaluate_horizons(
        Scenario.load(str(path)), [0, 1, 3, 12, 48], ["ridge_traffic"]
    ).scores
    for k, ratio in ((0, 0.844), (1, 0.733), (3, 0.583), (12, 0.322), (48, 0.167)):
        assert row(scores, "ridge_traffic", k)["over_persistence"] == pytest.approx(ratio, abs=6e-4)
