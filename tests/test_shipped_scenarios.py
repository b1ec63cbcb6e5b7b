"""Every shipped scenario runs in seconds, to numbers that a review would see change."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

import twin
from twin.core import content

GOLDEN = ROOT / "tests" / "golden"
COLUMNS = [
    "policy", "link", "mae", "rmse", "efficiency_median", "utilization_mean",
    "over_provisioning_pct", "sla_violation_rate", "sla_violation_minutes", "unmet_mbit",
]  # fmt: skip


@pytest.mark.parametrize("name", content.shipped("scenarios"))
def test_a_shipped_scenario_gives_its_golden_table(name: str, request) -> None:
    begin = time.monotonic()
    summary = twin.run(name).summary
    assert time.monotonic() - begin < 30
    path = GOLDEN / f"{name}.csv"
    text = summary[COLUMNS].to_csv(index=False, float_format="%.6g", lineterminator="\n")
    if request.config.getoption("--update-golden"):
        path.write_text(text)
    expected = pd.read_csv(path)
    # A recurrent network's last digits depend on the processor.
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), expected, rtol=2e-3)
    static = expected["policy"].str.startswith("static")
    pd.testing.assert_frame_equal(
        pd.read_csv(io.StringIO(text))[static], expected[static], rtol=2e-5
    )


@pytest.mark.parametrize("name", content.shipped("scenarios"))
def test_a_shipped_scenario_says_what_it_is_in_its_first_line(name: str) -> None:
    first = content.shipped("scenarios")[name].read_text().split("\n")[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def test_the_real_backbone_trace_gives_its_reference_figures(
    backbone: Path, tmp_path: Path
) -> None:
    scenario = tmp_path / "uk.yaml"
    scenario.write_text(
        f"demand: {{source: csv, path: {backbone}}}\n"
        "policies: [static_mean2sigma, static_p95, rolling_max, last_value, bilstm]\n"
    )
    rows = twin.run(scenario).summary.set_index(["policy", "link"]).xs("all", level="link")
    mean2sigma, p95 = rows.loc["static_mean2sigma"], rows.loc["static_p95"]
    assert f"{mean2sigma['allocated_mean_mbps']:.1f}" == "7507.5"
    assert f"{mean2sigma['over_provisioning_mean_mbps']:.1f}" == "3155.8"
    assert f"{mean2sigma['over_provisioning_pct']:.1f}" == "72.4"
    assert f"{100 * mean2sigma['sla_violation_rate']:.3f}" == "4.575"
    assert f"{p95['allocated_mean_mbps']:.1f}" == "7313.3"
    assert f"{p95['over_provisioning_mean_mbps']:.1f}" == "2973.1"
    assert f"{p95['over_provisioning_pct']:.1f}" == "68.2"
    assert f"{100 * p95['sla_violation_rate']:.3f}" == "7.114"
    assert f"{rows.loc['last_value', 'mae']:.2f}" == "62.32"
    assert f"{rows.loc['rolling_max', 'over_provisioning_pct']:.1f}" == "15.5"
    assert f"{100 * rows.loc['rolling_max', 'sla_violation_rate']:.2f}" == "0.03"
    # The shipped model has seen generated traces alone.
    assert rows.loc["bilstm", "mae"] < rows.loc["last_value", "mae"]
