"""Results in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Maker, policy_file

import twin
from twin import InputError
from twin.results.folder import check_free

RNG = np.random.default_rng(0)
SURGE = {"kind": "surge", "start": "7min", "duration": "33min", "factor": 2, "ramp": "3min"}


def _digests(folder: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("summary.csv", "intervals.parquet", "events.csv", "scenario.yaml")
    }


@pytest.mark.long
def test_the_same_scenario_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        twin.run("surge").save(tmp_path / name)
    assert _digests(tmp_path / "first") == _digests(tmp_path / "second")
    figures = [tmp_path / name / "figures" / "allocation.png" for name in ("first", "second")]
    assert figures[0].read_bytes() == figures[1].read_bytes()


def test_another_seed_gives_other_demand(tmp_path: Path) -> None:
    tables = [twin.run("surge", policies=["static_p95"], seed=seed).summary for seed in (1, 2)]
    assert not tables[0].equals(tables[1])


def test_files_hold_what_the_tables_hold(make: Maker, tmp_path: Path) -> None:
    result = twin.run(
        make(RNG.uniform(1, 9, (80, 3)), ["static_p95", "last_value"], events=[SURGE])
    )
    folder = result.save(tmp_path / "out")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "intervals.parquet"), result.intervals)
    written = pd.read_csv(folder / "summary.csv")
    pd.testing.assert_frame_equal(written, result.summary, check_dtype=False)
    numbers = written.select_dtypes("number").columns
    np.testing.assert_array_equal(written[numbers], result.summary[numbers])
    names = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
    assert names == {
        "events.csv", "figures/allocation.png", "figures/metrics.png", "hours.csv",
        "intervals.parquet", "manifest.json", "report.html", "scenario.yaml", "summary.csv",
    }  # fmt: skip
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["policies"]["static_p95"][0]["shipped"] is True
    assert len(manifest["trace"]["sha256"]) == 64


def test_columns_are_those_of_the_contract(make: Maker) -> None:
    result = twin.run(make(np.full(20, 3.0)))
    assert (
        result.intervals.columns.tolist()
        == (
            "policy link interval start_s demand_mbps requested_mbps allocated_mbps capacity_mbps "
            "served_mbps unmet_mbps efficiency wastage utilization over_provisioning_mbps "
            "violation_s sla_violation"
        ).split()
    )
    assert (
        result.summary.columns.tolist()[:16]
        == (
            "policy link intervals missing_intervals mae rmse efficiency_mean efficiency_median "
            "wastage_mean utilization_mean over_provisioning_mean_mbps over_provisioning_pct "
            "sla_violation_rate sla_violation_minutes unmet_mbit allocated_mean_mbps"
        ).split()
    )
    assert result.summary["link"].tolist() == ["link-1", "all"]


def test_the_resolved_scenario_runs_to_the_same_numbers_from_anywhere(
    make: Maker, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    policy_file(tmp_path, "twice", "return observation.last_known_mbps * 2")
    schedule = [{"from": "0h", "use": "static_p95"}, {"from": "1h", "use": "twice"}]
    path = make(
        RNG.uniform(1, 9, (80, 2)),
        ["twice", {"use": "rolling_max", "window": "30min"}, {"name": "s", "schedule": schedule}],
        events=[SURGE],
    )
    first = twin.run(path)
    saved = first.save(own / "out", figures=False)
    again = twin.run(saved / "scenario.yaml")
    pd.testing.assert_frame_equal(first.summary, again.summary)
    assert again.resolved_scenario() == first.resolved_scenario()


def test_a_folder_with_a_run_is_left_alone_without_force(make: Maker, tmp_path: Path) -> None:
    result = twin.run(make(np.full(20, 3.0)))
    folder = result.save(tmp_path / "out", figures=False)
    before = _digests(folder)
    with pytest.raises(
        InputError, match="holds another run; choose another folder, or add --force"
    ):
        result.save(folder)
    assert _digests(folder) == before
    (folder / "notes.txt").write_text("mine")
    result.save(folder, force=True, figures=False)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_saved_run_is_read_back_with_its_tables(make: Maker, tmp_path: Path) -> None:
    result = twin.run(make(RNG.uniform(1, 9, (60, 2)), ["static_p95", "last_value"]))
    folder = result.save(tmp_path / "out", figures=False)
    again = twin.load(folder)
    for name in ("summary", "intervals", "hours"):
        ours, theirs = getattr(again, name), getattr(result, name)
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
    assert again._repr_html_() == result._repr_html_()
    assert ">over-provisioning [% of demand]<" in again._repr_html_()
    assert again._repr_html_().count("<tr") == 4
    with pytest.raises(AttributeError, match=f"was read from {folder}, which holds no recording"):
        print(again.recording)
    (folder / "manifest.json").write_text("[")
    with pytest.raises(InputError, match=r"manifest\.json: cannot be read"):
        twin.load(folder)


def test_an_error_while_writing_leaves_everything_as_it_was(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = twin.run(make(np.full(20, 3.0)))
    folder = result.save(tmp_path / "out", figures=False)
    before = _digests(folder)

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("twin.results.result.write_intervals", fail)
    for target in (folder, tmp_path / "new"):
        with pytest.raises(OSError, match="No space left"):
            result.save(target, force=True)
    assert _digests(folder) == before
    assert not (tmp_path / "new").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_nothing_is_written_unless_told_to(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(twin.run("surge", policies=["static_p95"]).intervals) > 0
    assert list(tmp_path.iterdir()) == []


def test_force_takes_away_the_pictures_of_the_run_before(make: Maker, tmp_path: Path) -> None:
    result = twin.run(make(np.full(20, 3.0)))
    result.save(tmp_path / "out")
    result.save(tmp_path / "out", force=True, figures=False)
    assert not list((tmp_path / "out").glob("figures/*.png"))


def test_the_manifest_names_every_policy_and_where_it_came_from(make, tmp_path: Path) -> None:
    policy_file(tmp_path, "mine", "return np.full(1, 5.0)")
    schedule = [{"from": "0h", "use": "mine"}, {"from": "10min", "use": "static_p95"}]
    path = make(
        np.full(20, 3.0), [{"name": "x", "use": "mine"}, {"name": "y", "schedule": schedule}]
    )
    folder = twin.run(path).save(tmp_path / "out", figures=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [s["file"] for s in manifest["policies"]["x"]] == [str(tmp_path / "mine.py")]
    assert [s["shipped"] for s in manifest["policies"]["y"]] == [False, True]
    assert manifest["trace"]["file"] == str(tmp_path / "trace.parquet")
    assert manifest["scenario"]["file"] == str(path)


def test_a_link_to_nothing_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="out: --out: is a link to a place that is not there"):
        check_free(tmp_path / "out", force=True)
