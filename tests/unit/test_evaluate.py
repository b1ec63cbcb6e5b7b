"""Evaluating forecasters on a trace, against calculations that share no code with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Maker

from twin import InputError, Scenario
from twin.cli.evaluate import evaluate_scenario
from twin.core import content
from twin.demand.gaps import ArrayFeed, known
from twin.demand.trace import Trace
from twin.forecast.forecaster import Forecaster
from twin.studies.evaluation import evaluate as evaluating
from twin.studies.evaluation.evaluate import evaluate
from twin.studies.evaluation.forecasts import Forecast, first_seen, persistence, seasonal
from twin.studies.evaluation.scores import quantile_scores, ratio_interval
from twin.studies.evaluation.write import save

DAY = 288


def noisy(samples: int, links: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = 300 + 200 * np.sin(np.arange(samples) * 2 * np.pi / DAY)
    return wave[:, None] * rng.uniform(0.8, 1.2, (samples, links))


def one(table: pd.DataFrame, model: str, link: str = "all") -> pd.Series:
    return table.set_index(["model", "link"]).loc[(model, link)]


def test_scores_are_those_of_a_plain_calculation(make: Maker) -> None:
    demand = noisy(4 * DAY)
    scenario = Scenario.load(make(demand))
    result = evaluate(scenario, ["bilstm_traffic"]).scores
    half = 2 * DAY
    truth, last, day = demand[half:], demand[half - 1 : -1], demand[half - DAY : -DAY]
    model = Forecaster.load(content.shipped("models")["bilstm_traffic"])
    bound = model.bind(ArrayFeed({"internet": demand}), half, half, stop=2 * half)
    trained = np.array([bound.at(i) for i in range(half, 2 * half)])
    by_name = {"persistence": last, "seasonal_day": day, "bilstm_traffic": trained}
    assert list(result["model"].unique()) == list(by_name)
    for name, forecast in by_name.items():
        for link, at in (("link-1", [0]), ("link-2", [1]), ("all", [0, 1])):
            error = forecast[:, at] - truth[:, at]
            row = one(result, name, link)
            assert row["mae"] == pytest.approx(np.abs(error).mean())
            assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
            assert row["bias"] == pytest.approx(error.mean())
            reference = np.abs(last[:, at] - truth[:, at]).mean()
            assert row["mase"] == pytest.approx(np.abs(error).mean() / reference)
            assert row["n"] == error.size


def test_persistence_has_a_mase_of_one_and_no_spread(make: Maker) -> None:
    result = one(
        evaluate(Scenario.load(make(noisy(6 * DAY))), ["persistence"]).scores, "persistence"
    )
    assert (result["mase"], result["mase_low"], result["mase_high"]) == (1, 1, 1)


def test_missing_samples_are_left_out_and_forecast_from_the_last_known(make: Maker) -> None:
    demand = noisy(4 * DAY, 2)
    demand[2 * DAY + 50 : 2 * DAY + 90, 1] = np.nan
    scenario = Scenario.load(make(demand))
    result = evaluate(scenario, ["persistence"]).scores
    assert one(result, "persistence", "link-1")["n"] == 2 * DAY
    row = one(result, "persistence", "link-2")
    assert row["n"] == 2 * DAY - 40
    filled = pd.Series(demand[:, 1]).ffill().to_numpy()
    errors = np.abs(filled[2 * DAY - 1 : -1] - demand[2 * DAY :, 1])
    assert row["mae"] == pytest.approx(np.nanmean(errors))
    assert one(result, "persistence")["n"] == 4 * DAY - 40


def test_a_seasonal_forecast_passes_over_a_gap_to_the_season_before() -> None:
    demand = np.arange(12.0)[:, None]
    demand[6] = np.nan
    forecast = seasonal(demand, 8, 4, season=4)
    assert forecast[:, 0].tolist() == [4, 5, 2, 7]


def test_references_forecast_from_what_was_known_at_the_time() -> None:
    demand = noisy(6 * DAY, 2)
    for first, length, link in ((1_000, 5, 0), (1_003, 12, 1), (1_300, 1, 0), (1_500, 40, 1)):
        demand[first : first + length, link] = np.nan
    times = pd.date_range("2026-03-01", periods=len(demand), freq="5min")
    trace = Trace.from_frame(pd.DataFrame(demand, columns=["a", "b"], index=times))
    feed = ArrayFeed(trace.kpis, trace.gaps)
    start, samples = 2 * DAY, 4 * DAY
    last = persistence(first_seen(trace), start, samples)
    day = seasonal(trace.demand_mbps, start, samples, DAY)
    for i in range(start, start + samples):
        past = known(feed, "internet", i)
        np.testing.assert_array_equal(last[i - start], pd.DataFrame(past).ffill().iloc[-1])
        seasons = past[i % DAY :: DAY][: i // DAY]
        np.testing.assert_array_equal(day[i - start], pd.DataFrame(seasons).ffill().iloc[-1])
    # In a gap the last value stays; interpolation would have moved it.
    assert len(set(last[1_001 - start : 1_006 - start, 0])) == 1


def test_no_reference_sees_what_it_forecasts() -> None:
    demand = noisy(60, 1)
    changed = demand.copy()
    changed[40:] = 1e6
    for forecast in (persistence, lambda d, first, n: seasonal(d, first, n, 20)):
        before, after = forecast(demand, 30, 30), forecast(changed, 30, 30)
        assert np.array_equal(before[:11], after[:11])


def test_a_season_longer_than_the_history_is_left_out_with_a_note(make: Maker) -> None:
    result = evaluate(Scenario.load(make(noisy(3 * DAY))), ["persistence"])
    assert list(result.pooled["model"]) == ["persistence", "seasonal_day"]
    assert result.notes == ("seasonal_week is left out: the history is 1d 12h, its season 7d",)


def test_shipped_models_that_need_more_kpis_are_left_out_with_a_note(make: Maker) -> None:
    result = evaluate(Scenario.load(make(noisy(2 * DAY))))
    assert "bilstm_traffic" in set(result.pooled["model"])
    assert "bilstm" not in set(result.pooled["model"])
    assert any(note.startswith("bilstm is left out: needs the KPI") for note in result.notes)


def test_events_of_the_scenario_are_not_applied(make: Maker) -> None:
    demand = noisy(2 * DAY)
    surge = {"kind": "surge", "start": "1h", "duration": "2h", "factor": 3}
    plain = evaluate(Scenario.load(make(demand)), ["persistence"]).scores
    surged = evaluate(Scenario.load(make(demand, events=[surge])), ["persistence"]).scores
    pd.testing.assert_frame_equal(plain, surged)


def test_a_model_is_named_by_its_path_too(make: Maker, tmp_path: Path) -> None:
    source = content.shipped("models")["bilstm_traffic"]
    for file in (source, source.with_suffix(".json")):
        shutil.copy(file, tmp_path / f"mine{file.suffix}")
    scenario = Scenario.load(make(noisy(2 * DAY)))
    result = evaluate(scenario, [str(tmp_path / "mine.onnx"), "bilstm_traffic"]).scores
    assert one(result, "mine")["mae"] == one(result, "bilstm_traffic")["mae"]


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["bilstm_trafic"], "no model 'bilstm_trafic'; did you mean 'bilstm_traffic'?"),
        (["bilstm_traffic", "bilstm_traffic"], "'bilstm_traffic' is named twice"),
        ([], "names no model"),
    ],
)
def test_a_model_that_cannot_be_used_is_named(make: Maker, models: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        evaluate(Scenario.load(make(noisy(2 * DAY))), models)
    assert str(error.value) == f"--models: {message}"


def test_the_interval_holds_the_ratio_and_narrows_with_more_days() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for days in (6, 96):
        own, reference = rng.gamma(2, 2, days * DAY), rng.gamma(2, 1, days * DAY)
        low, high = ratio_interval(own, reference, DAY, seed=3)
        assert low < own.sum() / reference.sum() < high
        assert (low, high) == ratio_interval(own, reference, DAY, seed=3)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    assert np.isnan(ratio_interval(own[:DAY], reference[:DAY], DAY, seed=3)).all()


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        own, reference = rng.gamma(2, 1, 30 * 24), rng.gamma(2, 1, 30 * 24)
        low, high = ratio_interval(own, reference, 24, seed=5)
        covered += low < 1 < high
    assert 0.88 <= covered / 200 <= 0.99


def test_quantiles_are_scored_by_pinball_loss_and_coverage() -> None:
    demand = np.array([[1.0], [2.0], [3.0], [np.nan]])
    result = quantile_scores(np.full((4, 1, 2), [2.0, 4.0]), (0.5, 0.9), demand)
    # 0.5: (0.5 + 0 + 0.5) / 3; 0.9: 0.1 x (3 + 2 + 1) / 3
    assert result["pinball"][:, 1] == pytest.approx([1 / 3, 0.2])
    assert result["coverage"][:, 1] == pytest.approx([2 / 3, 1])
    assert result["n"].tolist() == [[3, 3], [3, 3]]


def test_hours_are_of_the_day_where_the_trace_says_when_it_starts(make: Maker) -> None:
    path = make(noisy(2 * DAY))
    since = evaluate(Scenario.load(path), ["persistence"]).by_hour
    assert set(since["hour_of"]) == {"replay"}
    text = path.read_text().replace("train:", "starts: 2004-11-19T07:30\n  train:")
    path.write_text(text)
    of_day = evaluate(Scenario.load(path), ["persistence"]).by_hour
    assert set(of_day["hour_of"]) == {"day"}
    # The replay starts a day after 07:30: its first hour is half in hour 7, half in hour 8.
    first = since[since["model"] == "persistence"].set_index("hour")
    clock = of_day[of_day["model"] == "persistence"].set_index("hour")
    assert clock["n"].sum() == first["n"].sum()
    parts = evaluate(Scenario.load(path), ["persistence"])
    truth = parts.scenario.trace.demand_mbps
    last_half_hour = [DAY + i for i in range(DAY) if (450 + 5 * i) // 60 % 24 == 7]
    errors = [np.abs(truth[i] - truth[i - 1]).mean() for i in last_half_hour]
    assert clock.loc[7, "mae"] == pytest.approx(np.mean(errors))


def test_everything_is_written_and_the_table_printed(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    evaluate_scenario(str(make(noisy(2 * DAY))), "bilstm_traffic", [], out, force=False)
    files = sorted(str(f.relative_to(out)) for f in out.rglob("*") if f.is_file())
    tables = ["errors_by_hour.csv", "evaluation.csv"]
    assert files == [*tables, "figures/error_by_hour.png", "manifest.json"]
    printed = capsys.readouterr().out
    assert "2 links, 288 samples of 5min forecast one step ahead after 1d of history" in printed
    assert "bilstm_traffic" in printed
    table = pd.read_csv(out / "evaluation.csv")
    columns = "model link mae rmse mase mase_low mase_high bias n"
    assert list(table.columns) == columns.split()
    with pytest.raises(InputError, match="holds another run"):
        evaluate_scenario(str(make(noisy(2 * DAY))), "bilstm_traffic", [], out, force=False)


def test_quantiles_of_a_model_are_written_where_it_gives_any(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand = noisy(2 * DAY)
    around = np.stack([0.9 * demand[DAY:], 1.1 * demand[DAY:]], axis=2)
    forecast = Forecast("sure", demand[DAY:], (0.1, 0.9), around)
    monkeypatch.setattr(evaluating, "forecasts", lambda *_: [forecast])
    result = evaluate(Scenario.load(make(demand)), ["persistence"])
    pooled = result.quantiles[result.quantiles["link"] == "all"]
    assert pooled["coverage"].tolist() == [0, 1]
    assert pooled["pinball"].to_numpy() == pytest.approx(0.1 * 0.1 * demand[DAY:].mean())
    save(result, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "quantiles.csv")) == 6


def test_a_demand_that_never_changes_is_evaluated_without_a_ratio(
    make: Maker, tmp_path: Path
) -> None:
    result = evaluate(Scenario.load(make(np.full((3 * DAY, 1), 5.0))), ["bilstm_traffic"])
    assert result.pooled["mae"].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert result.pooled["mase"].isna().all()
    save(result, tmp_path / "out")


def test_nothing_is_written_after_an_error(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("twin.studies.evaluation.write.draw", fail)
    result = evaluate(Scenario.load(make(noisy(2 * DAY))), ["persistence"])
    with pytest.raises(OSError, match="no space left"):
        save(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_damaged_model_is_refused_rather_than_left_out_when_asked_for(
    make: Maker, tmp_path: Path
) -> None:
    source = content.shipped("models")["bilstm_traffic"]
    card = json.loads(source.with_suffix(".json").read_text())
    (tmp_path / "mine.json").write_text(json.dumps(card | {"sha256": "0" * 64}))
    shutil.copy(source, tmp_path / "mine.onnx")
    with pytest.raises(InputError, match="not the file that its card describes"):
        evaluate(Scenario.load(make(noisy(2 * DAY))), [str(tmp_path / "mine.onnx")])
