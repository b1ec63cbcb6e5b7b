"""The best policy at each point of a batch, and whether what it saves is more than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from batch_data import GRID, POLICIES, batch_data, table, words
from scipy import stats

import twin
from twin.batches.statistics.best import best_frame
from twin.cli.batch import print_batch


def runs_with(**columns: dict[str, list[float]]) -> pd.DataFrame:
    """Return two points of one key with as many replications as there are values."""
    size = len(next(iter(next(iter(columns.values())).values()))) // 2
    runs = table({"links.defaults.lead_time": ["0s", "1h"]}, size)
    runs["cost"] = np.nan
    runs["worst_burn_rate"] = 0.5
    for name, by_policy in columns.items():
        for policy, values in by_policy.items():
            runs.loc[runs["policy"] == policy, name] = values
    return runs


def test_the_best_is_the_cheapest_of_those_that_keep_the_sla_on_every_link() -> None:
    runs = runs_with(
        cost={"static_p95": [9, 8, 9, 8], "adaptive": [5, 4, 5, 4], "lean": [1, 1, 6, 6]},
        worst_burn_rate={"lean": [1.5, 1.1, 0.9, 1.0]},
    )
    first, second = best_frame(runs).to_dict("records")
    assert (first["policy"], first["by"], first["value"]) == ("adaptive", "cost", 4.5)
    assert (first["policies_kept"], first["next"], first["first"]) == (
        2,
        "static_p95",
        "static_p95",
    )
    assert first["saving_to_first"] == first["saving_to_next"] == 4
    assert (second["policy"], second["next"], second["policies_kept"]) == ("adaptive", "lean", 3)
    assert second["saving_to_next"] == 1.5
    assert second["half_width_to_next"] == pytest.approx(stats.t.ppf(0.975, 1) * 0.5)
    assert second["sure_to_next"] is False


def test_a_point_without_prices_goes_by_over_provisioning() -> None:
    over = {"static_p95": [3.0, 3.0], "adaptive": [2.0, 4.0], "lean": [4.0, 3.5]}
    cost = {"static_p95": [1.0, np.nan], "adaptive": [2.0, np.nan], "lean": [3.0, np.nan]}
    found = best_frame(runs_with(over_provisioning_pct=over, cost=cost))
    assert found["by"].tolist() == ["cost", "over_provisioning_pct"]
    assert found["policy"].tolist() == ["static_p95", "static_p95"]
    # With one replication there is no interval; the first policy saves nothing against itself.
    assert found["sure_to_next"].isna().all()
    assert found["saving_to_first"].isna().all()


def test_where_none_keeps_the_sla_none_is_the_best() -> None:
    burns = {policy: [1.01, 0.5] for policy in POLICIES}
    found = best_frame(runs_with(worst_burn_rate=burns))
    assert found["policy"].tolist()[0] == ""
    assert found["policies_kept"].tolist() == [0, 3]


def test_bounds_and_failed_runs_take_no_part() -> None:
    runs = runs_with(cost={"static_p95": [9, 9], "adaptive": [5, 5], "lean": [7, 7]})
    assert best_frame(runs, ["adaptive"])["policy"].tolist() == ["lean", "lean"]
    runs.loc[runs["run_id"] == runs["run_id"].iloc[0], "status"] = "failed"
    assert best_frame(runs)["links.defaults.lead_time"].tolist() == ["1h"]


def test_replications_that_are_all_the_same_say_nothing_of_chance() -> None:
    runs = runs_with(cost={"static_p95": [9] * 4, "adaptive": [5] * 4, "lean": [5] * 4})
    found = best_frame(runs)
    assert found["sure_to_first"].tolist() == [None, None]
    assert found["sure_to_next"].tolist() == [False, False]  # no difference at all


def test_the_page_names_the_best_at_each_point() -> None:
    said = words(batch_data())
    assert "Best policy at each point" in said
    best = batch_data().best
    assert len(best) == len(GRID["events.0.factor"]) * len(GRID["sla.target"])
    assert set(best["policy"]) == {"adaptive"}


def test_a_batch_over_lead_times_and_prices_tells_the_best_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demand = 100 * np.random.default_rng(1).lognormal(0, 0.1, 900)
    pd.DataFrame({"time": np.arange(900) * 300, "internet": demand}).to_csv(
        tmp_path / "trace.csv", index=False
    )
    (tmp_path / "small.yaml").write_text(
        "name: small\ndemand: {source: csv, path: trace.csv, train: 0.5}\n"
        "sla: {target: 5%}\nprices: {capacity: 1}\npolicies:\n"
        "  - {name: tight, use: rolling_max, margin: 15%}\n"
        "  - {name: wide, use: rolling_max, margin: 100%}\n"
    )
    grid = {"links.defaults.lead_time": ["0s", "10min"], "prices.unmet_gbit": [0, 1e6]}
    (tmp_path / "sweep.yaml").write_text(f"scenario: small.yaml\nname: s\ngrid: {grid}\n")
    results = twin.batch(tmp_path / "sweep.yaml", out=tmp_path / "out")
    best = pd.read_csv(tmp_path / "out" / "best.csv", keep_default_na=False)
    assert best["policy"].tolist() == ["tight", "wide"] * 2
    runs = results.runs.pivot_table(index=list(grid), columns="policy", values="cost", sort=False)
    saved = (runs["tight"] - runs["wide"]).tolist()
    assert [float(best["saving_to_first"][i]) for i in (1, 3)] == pytest.approx(saved[1::2])
    print_batch(results)
    said = capsys.readouterr().out
    assert "Best at each point, of those that keep the SLA on every link:" in said
    assert "Value and savings: cost" in said
