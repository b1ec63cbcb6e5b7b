"""The report of a batch: its numbers, what it says of them, and batches of odd shapes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from scipy import stats
from test_report import read

import twin
from twin.batches.plan.spec import METRICS
from twin.batches.report.effects import at_levels, measure_factors
from twin.batches.report.figures import pictures_of
from twin.batches.report.page import render
from twin.batches.report.ranking_entries import rank_policies, surely_kept
from twin.batches.report.source import BatchData
from twin.batches.report.verdict import contents, verdict
from twin.batches.statistics.estimate import estimate
from twin.batches.statistics.ranking import ranking
from twin.cli.main import call
from twin.cli.report import report as report_folder
from twin.core.errors import InputError

POLICIES = ("static_p95", "adaptive", "lean")
GRID = {"events.0.factor": [1.0, 2.0, 3.0], "sla.target": ["0.1%", "1%"]}
Change = Callable[[pd.DataFrame], None]


def table(
    grid: dict[str, list[Any]], replications: int, policies: Sequence[str] = POLICIES
) -> pd.DataFrame:
    """Return a table of runs over a grid, with other numbers in every row."""
    rng = np.random.default_rng(4)
    rows = []
    for number, values in enumerate(product(*grid.values())):
        for replication in range(replications):
            for i, policy in enumerate(policies):
                size = 1 + 0.1 * rng.standard_normal()
                rate = 0.002 * (i + 1) ** 2 * size
                known = {
                    "sla_violation_rate": rate, "burn_rate": rate / 0.01,
                    "over_provisioning_pct": 60 / (i + 1) * size + number,
                    "unmet_mbit": 1e5 * rate, "cost": None,
                }  # fmt: skip
                head = {"run_id": f"{number:08x}{replication:08x}"}
                head |= dict(zip(grid, values, strict=True))
                head |= {"replication": replication, "seed": 100 + replication}
                head |= {"policy": policy, "status": "done", "error": ""}
                rows.append(head | {name: known.get(name, size) for name in METRICS})
    return pd.DataFrame(rows)


def facts(runs: pd.DataFrame, grid: dict[str, list[Any]], **other: Any) -> dict[str, Any]:
    policies = list(dict.fromkeys(runs["policy"]))
    replications = int(runs["replication"].max()) + 1 if len(runs) else 1
    return {
        "status": "complete", "name": "sweep", "sweep_sha256": "0" * 64, "seed": 100,
        "sweep": {"name": "sweep", "scenario": "surge", "replications": replications},
        "scenario": "/home/somebody/surge.yaml", "demand": "generated", "sla_target": 0.01,
        "links": 4, "random": True, "keys": list(grid), "policies": policies, "bounds": [],
        "points": len(list(product(*grid.values()))), "versions": {"twin": "0.1.0"}, "sha256": {},
    } | other  # fmt: skip


def found(
    grid: dict[str, list[Any]] | None = None,
    replications: int = 4,
    policies: Sequence[str] = POLICIES,
    change: Change | None = None,
    **other: Any,
) -> BatchData:
    grid = GRID if grid is None else grid
    runs = table(grid, replications, policies)
    if change is not None:
        change(runs)
    batch = BatchData(facts(runs, grid, **other), runs)
    batch.check()
    return batch


def fail(*runs: int, error: str = "it broke") -> Change:
    def change(table: pd.DataFrame) -> None:
        ids = table["run_id"].unique()[list(runs)]
        rows = table["run_id"].isin(ids)
        table.loc[rows, "status"] = "failed"
        table.loc[rows, "error"] = error
        table.loc[rows, list(METRICS)] = np.nan

    return change


def words(batch: BatchData) -> str:
    return " ".join(" ".join(read(render(batch)).words).split())


@pytest.mark.parametrize("metric", ["sla_violation_rate", "over_provisioning_pct"])
def test_a_mean_and_its_interval_are_students_over_replications(metric: str) -> None:
    runs = table(GRID, 5)
    ranked = ranking(runs, metric).set_index("policy")
    means = runs.pivot_table(index="replication", columns="policy", values=metric)
    for policy in POLICIES:
        values, apart = means[policy], means[policy] - means[POLICIES[0]]
        at = ranked.loc[policy]
        assert at["n"] == 5
        assert at["mean"] == pytest.approx(values.mean(), rel=1e-12)
        for width, sample in ((at["half_width"], values), (at["difference_half_width"], apart)):
            assert width == pytest.approx(stats.t.ppf(0.975, 4) * sample.sem(), rel=1e-9)
        assert at["difference"] == pytest.approx(apart.mean(), abs=1e-12)


def test_a_point_that_lacks_runs_counts_as_much_as_any_other() -> None:
    values = np.array([[1.0], [3.0], [100.0]])
    mean = estimate(values, np.array([0, 0, 1]), np.array([0, 1, 0])).mean
    assert mean[0] == (2 + 100) / 2


def test_points_that_lack_different_replications_are_compared_on_the_same_ground() -> None:
    # Each point has a level of its own; only the seeds' errors are left in the interval.
    points, replications = np.divmod(np.arange(40), 4)
    errors = np.array([-0.1, 0.1, 0.2, -0.2])
    values = (1000.0 * points + errors[replications])[:, None]
    kept = np.ones(40, dtype=bool)
    kept[[0, 5]] = False
    whole = estimate(values, points, replications)
    some = estimate(values[kept], points[kept], replications[kept])
    assert some.mean[0] == pytest.approx(whole.mean[0], abs=0.05)
    assert some.half_width[0] == pytest.approx(whole.half_width[0], rel=0.2)


def test_one_replication_gives_no_interval_and_the_page_says_so() -> None:
    batch = found(replications=1)
    assert np.isnan(batch.mean("burn_rate").half_width).all()
    said = words(batch)
    assert "Every point has a single replication: there are no intervals" in said
    assert "\N{PLUS-MINUS SIGN}" not in said


def test_first_is_who_keeps_the_sla_at_most_points_with_least_waste() -> None:
    ranked = rank_policies(found())
    assert [(s.name, s.rank, s.points) for s in ranked] == [
        ("adaptive", 1, 6), ("static_p95", 2, 6), ("lean", 3, 0)
    ]  # fmt: skip


def test_bounds_are_shown_last_and_never_ranked() -> None:
    batch = found(bounds=["adaptive"])
    ranked = rank_policies(batch)
    assert [(s.name, s.rank) for s in ranked] == [
        ("static_p95", 1), ("lean", 2), ("adaptive", None)
    ]  # fmt: skip
    assert "bound, not ranked" in words(batch)
    assert verdict(batch, ranked)[0].startswith("Only static_p95 keeps the SLA")


def test_a_point_is_surely_kept_where_students_interval_is_within_the_sla() -> None:
    batch = found(replications=6)
    runs = batch.runs[batch.runs["policy"] == "adaptive"]
    expected = [
        i
        for i, (_, point) in enumerate(runs.groupby(list(GRID), sort=False)["burn_rate"])
        if stats.t.interval(0.95, 5, point.mean(), point.sem())[1] <= 1
    ]
    assert list(surely_kept(batch, 1)) == expected  # type: ignore[arg-type]


def test_the_verdict_says_whether_the_order_may_be_chance() -> None:
    batch = found()
    sure = " ".join(verdict(batch, rank_policies(batch)))
    assert "the difference is larger than chance explains" in sure

    def alike(runs: pd.DataFrame) -> None:
        noise = np.random.default_rng(1).standard_normal(len(runs))
        runs["over_provisioning_pct"] = 50 + noise
        runs["sla_violation_rate"] = 0.001 * (1 + 0.1 * noise[::-1])
        runs["burn_rate"] = runs["sla_violation_rate"] / 0.01

    batch = found(change=alike)
    unsure = " ".join(verdict(batch, rank_policies(batch)))
    assert "the difference may be chance: its 95 % interval includes 0" in unsure
    assert "\N{ALMOST EQUAL TO}" in words(batch)


def test_win_rates_count_ties_as_halves() -> None:
    def tie(runs: pd.DataFrame) -> None:
        runs.loc[runs["run_id"] == runs["run_id"].iloc[0], "sla_violation_rate"] = 0.5

    batch = found({}, 4, POLICIES[:2], tie)
    cells = re.findall(r"<td data-value=\"0\.\d+\">(\d+)</td>", render(batch))
    # Of four runs one is a tie, and the others are lost.
    assert "12" in cells


def test_effects_are_marginal_means_and_shares_of_the_variance_between_points() -> None:
    batch = found()
    made = {factor.key: factor for factor in measure_factors(batch)}
    runs, metric = batch.runs, "over_provisioning_pct"
    for key, values in GRID.items():
        factor = made[key]
        assert factor.labels == tuple(f"{v:g}" if isinstance(v, float) else v for v in values)
        for i, policy in enumerate(POLICIES):
            own = runs[runs["policy"] == policy]
            means = own.groupby(key, sort=False)[metric].mean()
            shown = [at.mean[i] for at in at_levels(batch, factor, metric)]
            assert shown == pytest.approx(means.tolist(), rel=1e-12)
            assert factor.spread[1, i] == pytest.approx(means.max() - means.min(), rel=1e-9)
            points = own.groupby(list(GRID), sort=False)[metric].mean().reset_index()
            group = points.groupby(key)[metric].transform("mean")
            explained = ((group - points[metric].mean()) ** 2).sum() / (
                (points[metric] - points[metric].mean()) ** 2
            ).sum()
            assert factor.explained[1, i] == pytest.approx(explained, rel=1e-9)


def test_a_factor_of_many_numbers_is_taken_in_classes_and_correlated() -> None:
    rng = np.random.default_rng(2)
    drawn = {"links.defaults.capacity_mbps": list(rng.uniform(10, 90, 60))}

    def follow(runs: pd.DataFrame) -> None:
        runs["over_provisioning_pct"] = runs[next(iter(drawn))] ** 2

    batch = found(drawn, 2, change=follow)
    (factor,) = measure_factors(batch)
    assert factor.classed
    assert np.bincount(factor.levels).tolist() == [10] * 6
    assert factor.correlation[1] == pytest.approx([1, 1, 1])
    assert (factor.explained[1] > 0.9).all()
    points = batch.at_points("sla_violation_rate")
    expected = stats.spearmanr(factor.numbers, points[:, 0]).statistic
    assert factor.correlation[0, 0] == pytest.approx(expected)
    assert "nothing to cross" in words(batch)


def test_what_has_no_effect_explains_next_to_nothing_even_in_classes() -> None:
    def noise(runs: pd.DataFrame) -> None:
        runs["over_provisioning_pct"] = np.random.default_rng(5).standard_normal(len(runs))

    (factor,) = measure_factors(
        found({"a": list(np.random.default_rng(3).random(200))}, 1, change=noise)
    )
    assert factor.explained[1].max() < 0.06


def test_two_factors_are_crossed_in_means_over_all_else() -> None:
    grid = GRID | {"demand.scale": [1, 2]}
    batch = found(grid)
    page = render(batch)
    own = batch.runs[batch.runs["policy"] == "adaptive"]
    for pair in (("events.0.factor", "sla.target"), ("events.0.factor", "demand.scale")):
        for mean in own.groupby(list(pair))["over_provisioning_pct"].mean():
            assert f">{mean:.1f}</td>" in page


def test_the_worst_runs_come_with_the_command_that_shows_them() -> None:
    batch = found()
    ranked = batch.runs.sort_values("sla_violation_rate", ascending=False)
    worst = ranked.drop_duplicates("run_id").head(10)["run_id"]
    page = render(batch)
    caption = "Most violated under any ranked policy"
    section = page[page.index(f"<caption>{caption}") :].split("</table>")[0]
    assert re.findall(r"<code>(\w+)</code>", section) == worst.tolist()
    assert "twin batch SWEEP --show RUN_ID" in page


def test_failed_runs_are_counted_by_message_and_left_out() -> None:
    def change(runs: pd.DataFrame) -> None:
        fail(0, 1, error="policy 'x' answers <nan>")(runs)
        fail(7, error="no memory")(runs)

    batch = found(change=change)
    said = words(batch)
    assert "3 of 24 runs failed and are left out of all else" in said
    assert said.index("policy 'x' answers <nan>") < said.index("no memory")
    assert "24 runs of 3 policies: 6 points with 4 replications; 3 failed." in contents(batch)


def test_a_policy_that_made_runs_fail_comes_after_all_others() -> None:
    error = "policy adaptive: tick 3 (15min): ValueError: too much (/home/me/adaptive.py:7)"
    batch = found(change=fail(*range(5), error=error))
    ranked = rank_policies(batch)
    assert [(s.name, s.failed_runs) for s in ranked] == [
        ("static_p95", 0), ("lean", 0), ("adaptive", 5)
    ]  # fmt: skip
    said = words(batch)
    assert "1 of the 6 points have no run that ended well: not counted" in said
    assert "(adaptive.py:7)" in said
    assert "/home" not in said


def test_failures_that_differ_in_numbers_alone_are_one_kind() -> None:
    def change(runs: pd.DataFrame) -> None:
        for i in range(4):
            fail(i, error=f"policy lean: tick {i} ({5 * i}min): ValueError: {i}.5")(runs)

    page = render(found(change=change))
    section = page[page.index('<section id="failed"') :].split("</section>")[0]
    assert re.findall(r'<th scope="row">(\d+)</th>', section) == ["4"]


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (lambda: found({}, 1), "There are no factors to compare".lower()),
        (lambda: found({}, 5), "adaptive keeps the SLA"),
        (lambda: found({}, 1, change=fail(0)), "The only run failed: there is nothing"),
        (lambda: found(change=fail(*range(24))), "All 24 runs failed: there is nothing to compare"),
        (lambda: found(policies=["alone"]), "There is only one policy"),
        (lambda: found(policies=[f"policy_{i}" for i in range(30)]), "The first 6 of 30 policies"),
        (lambda: found(bounds=list(POLICIES)), "Only bounds were run"),
        (lambda: found({"events.0.links": ["all", "[link-1, link-2]", "link-3"]}), "[link-1, link"),
        (lambda: found({"text": [f"value {i}" for i in range(40)]}), "The first 24 of 40 values"),
        (lambda: found({"a": [1.0, np.nan], "b": [True, False]}), "as the scenario has it"),
        (lambda: found(random=False), "Nothing in the scenario is random"),
        (lambda: found(status="stopped", points=50), "The batch has not finished"),
        (lambda: found({}, 4, change=fail(0, 1, 2)), "single replication"),
    ],
)
def test_batches_of_odd_shapes_have_a_whole_page(batch: Callable[[], BatchData], told: str) -> None:
    assert told in words(batch())


def test_a_batch_without_any_demand_has_a_page_and_pictures() -> None:
    def silent(runs: pd.DataFrame) -> None:
        runs["over_provisioning_pct"] = np.nan
        runs["sla_violation_rate"] = runs["burn_rate"] = 0.0

    batch = found(change=silent)
    assert "holds \N{EN DASH} % of demand" in words(batch)
    for draw in pictures_of(batch).values():
        assert draw_bytes(draw)


def test_a_batch_without_a_finished_run_has_a_page() -> None:
    runs = table(GRID, 1).iloc[:0]
    batch = BatchData(facts(table(GRID, 1), GRID, status="running"), runs)
    batch.check()
    assert "No run of this batch has ended yet" in words(batch)


def test_what_a_user_wrote_is_text_and_never_markup() -> None:
    nasty = '<img src=x onerror="1">&'
    batch = found(
        {f"key{nasty}": [nasty, "plain"], "other": [1, 2]},
        2,
        [nasty, "plain"],
        fail(0, error=nasty),
        name=nasty,
        demand=nasty,
        sweep={"name": nasty, "scenario": nasty},
    )
    page = render(batch)
    assert "<img" not in page
    assert read(page).addresses == ["data:,"]
    assert nasty in " ".join(read(page).words)


def test_ten_thousand_runs_make_a_light_page() -> None:
    rng = np.random.default_rng(1)
    drawn = pd.DataFrame({f"key-{i}": rng.random(10_000) for i in range(6)})
    base = table({}, 1)
    runs = base.loc[np.tile(base.index, 10_000)].reset_index(drop=True)
    for key in drawn:
        runs.insert(1, key, np.repeat(drawn[key].to_numpy(), len(POLICIES)))
    runs["run_id"] = np.repeat([f"{i:016x}" for i in range(10_000)], len(POLICIES))
    keys = {key: [0] for key in drawn}
    assert len(render(BatchData(facts(runs, keys, points=10_000), runs))) < 1_000_000


SWEEP = {
    "scenario": "surge", "policies": ["static_p95", "rolling_max", "oracle"], "replications": 2,
    "set": {"replay.duration": "6h", "events": []}, "grid": {"sla.target": ["1%", "5%"]},
}  # fmt: skip


def draw_bytes(draw: Callable[[BinaryIO], None]) -> bytes:
    stream = io.BytesIO()
    draw(stream)
    return stream.getvalue()


@pytest.mark.parametrize("count", [0, 1, 30])
def test_odd_batches_have_their_pictures(count: int) -> None:
    batch = (
        found({}, 1, [f"policy_{i}" for i in range(count)])
        if count
        else found(change=fail(*range(24)))
    )
    made = pictures_of(batch)
    assert list(made) == (["policies.png"] if count else [])
    assert all(draw_bytes(draw).startswith(b"\x89PNG") for draw in made.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("batch")
    (here / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    command = [sys.executable, "-m", "twin", "batch", "sweep.yaml", "--workers", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=here, env=environment, capture_output=True, check=True)
    return here / "out" / "sweep"


def test_the_command_writes_the_page_of_a_batch(folder: Path, capsys: Any) -> None:
    assert call(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"Written to {folder}/: report.html, figures\n"
    page = (folder / "report.html").read_text()
    read(page)
    assert {file.name for file in (folder / "figures").iterdir()} == {"policies.png", "factors.png"}
    ids = pd.read_parquet(folder / "runs.parquet")["run_id"].unique()
    assert set(re.findall(r"<code>(\w{16})</code>", page)) <= set(ids)


def test_two_calls_give_the_same_bytes_wherever_the_folder_lies(
    folder: Path, tmp_path: Path
) -> None:
    first = render(BatchData.read(folder))
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("batch.json", "runs.parquet"):
        (other / name).write_bytes((folder / name).read_bytes())
    pictures = [
        draw_bytes(draw) for _ in range(2) for draw in pictures_of(BatchData.read(folder)).values()
    ]
    assert pictures[:2] == pictures[2:]
    report_folder(other)
    assert (other / "report.html").read_text() == first
    assert str(folder) not in first
    assert str(Path(twin.__file__).parent) not in first


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("runs.parquet", None, "is missing; 'twin batch' with the batch's sweep makes it"),
        ("runs.parquet", "no table", "cannot be read: it is not the one that batch.json is of; "
         "'twin batch' with the batch's sweep makes it again"),
        ("batch.json", "{}", "cannot be read: says nothing of 'name'; "
         "'twin batch' with the batch's sweep makes it again"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_told_in_one_line(
    folder: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    for file in ("batch.json", "runs.parquet"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as raised:
        report_folder(tmp_path)
    assert str(raised.value) == f"{tmp_path / name}: {message}"
    assert not (tmp_path / "report.html").exists()


def test_a_table_that_is_no_table_is_told(folder: Path, tmp_path: Path) -> None:
    known = json.loads((folder / "batch.json").read_text()) | {"sha256": {}}
    (tmp_path / "batch.json").write_text(json.dumps(known))
    (tmp_path / "runs.parquet").write_text("no table")
    with pytest.raises(InputError, match="cannot be read"):
        report_folder(tmp_path)
