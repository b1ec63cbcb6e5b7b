"""What links draw, against closed forms: ports that sleep, energy per bit, changes in between."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Maker, policy_file, row

import twin
from twin.cli.main import app

HOURS = 1 / 12
STEPS = [40.0, 100.0, 100.1, 0.0, 250.0, 300.0]


def stepping(make: Maker, tmp_path: Path, **defaults: Any) -> twin.Result:
    policy_file(
        tmp_path, "steps", f"return np.full(1, {STEPS}[observation.interval % {len(STEPS)}])"
    )
    stated = {f"links.defaults.{key}": value for key, value in defaults.items()}
    return twin.run(make(np.full(2 * len(STEPS), 90.0), ["steps"]), overrides=stated)


def test_ports_that_are_not_provisioned_sleep(make: Maker, tmp_path: Path) -> None:
    energy = {"idle_w": 20, "w_per_gbps": 3, "step": 100}
    result = stepping(make, tmp_path, energy=energy)
    ports = np.array([1, 1, 2, 0, 3, 3])
    served = np.minimum(STEPS, 90.0)
    watts = 20 * ports + 3 * served / 1000
    assert result.intervals["watts"].tolist() == pytest.approx(watts.tolist())
    found = row(result.summary, "steps")["energy_kwh"]
    assert found == pytest.approx(watts.sum() * HOURS / 1000)
    assert row(result.summary, "steps", "link-1")["energy_kwh"] == found


def test_a_port_is_as_large_as_the_links_step_unless_told(make: Maker, tmp_path: Path) -> None:
    own = stepping(make, tmp_path, step=100, energy={"idle_w": 1}).intervals
    assert own["watts"].tolist() == [1, 1, 2, 0, 3, 3]
    assert own["allocated_mbps"].tolist() == [100, 100, 200, 0, 300, 300]
    smaller = stepping(make, tmp_path, step=100, energy={"idle_w": 1, "step": 50}).intervals
    assert smaller["watts"].tolist() == [2, 2, 4, 0, 6, 6]


def test_a_link_without_a_step_never_sleeps(make: Maker, tmp_path: Path) -> None:
    result = stepping(make, tmp_path, energy={"idle_w": 7})
    assert result.intervals["watts"].tolist() == [7.0] * len(STEPS)


def test_links_of_which_nothing_is_said_are_left_out(make: Maker) -> None:
    path = make(np.full((24, 2), 50.0), links=["a", "b"])
    result = twin.run(path, overrides={"links.a.energy.idle_w": 12})
    assert row(result.summary, "static_p95", "a")["energy_kwh"] == pytest.approx(12 / 1000)
    assert np.isnan(row(result.summary, "static_p95", "b")["energy_kwh"])
    assert row(result.summary, "static_p95")["energy_kwh"] == pytest.approx(12 / 1000)
    watts = result.intervals.set_index("link")["watts"]
    assert watts["a"].eq(12).all()
    assert watts["b"].isna().all()


def test_without_a_word_of_energy_there_is_none(make: Maker) -> None:
    result = twin.run(make(np.full(24, 50.0)))
    assert "watts" not in result.intervals.columns
    assert result.summary["energy_kwh"].isna().all()


def test_a_change_inside_an_interval_is_averaged_by_time(make: Maker, tmp_path: Path) -> None:
    # Ordered at the tick, in force 100 s later: a third of the interval is on the old ports.
    energy = {"idle_w": 30, "w_per_gbps": 6, "step": 100}
    table = stepping(make, tmp_path, lead_time="100s", energy=energy).intervals
    watts = table["watts"].tolist()
    ports, served = [1, 1, 2, 0, 3, 3], np.minimum(STEPS, 90.0)
    draws = [30 * n + 6 * s / 1000 for n, s in zip(ports, served, strict=True)]
    expected = [draws[0]] + [(old + 2 * new) / 3 for old, new in pairwise(draws)]
    assert watts == pytest.approx(expected)


def test_a_failed_link_serves_nothing_and_keeps_its_ports_awake(make: Maker) -> None:
    failure = {"kind": "link_failure", "start": "0s", "duration": "1h", "links": "all"}
    path = make(
        np.full(24, 80.0), events=[failure],
        replay={"start": "0h", "duration": "1h"},
    )  # fmt: skip
    told = {"links.defaults.energy": {"idle_w": 25, "w_per_gbps": 1000, "step": 50}}
    result = twin.run(path, overrides=told)
    assert result.intervals["watts"].tolist() == pytest.approx([50.0] * 12)


def test_a_missing_interval_draws_nothing_that_is_known(make: Maker) -> None:
    demand = np.full(48, 50.0)
    demand[30:44] = np.nan
    result = twin.run(make(demand), overrides={"links.defaults.energy.w_per_gbps": 2})
    found = row(result.summary, "static_p95")
    known = found["intervals"] - found["missing_intervals"]
    assert known == 10
    assert found["energy_kwh"] == pytest.approx(known * HOURS * 2 * 0.05 / 1000)


def test_energy_is_in_the_table_the_page_the_files_and_the_schema(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(np.full((48, 9), 50.0))
    out = tmp_path / "out"
    given = ["run", str(path), "--out", str(out), "--set", "links.defaults.energy.idle_w=10"]
    app(given, standalone_mode=False)
    assert "kWh" in capsys.readouterr().out
    stored = pd.read_parquet(out / "intervals.parquet")
    assert (stored["watts"] == 10).all()
    assert len(stored) == 24 * 9
    assert "Energy" in (out / "report.html").read_text()
    app(["schema"], standalone_mode=False)
    assert '"w_per_gbps"' in capsys.readouterr().out
