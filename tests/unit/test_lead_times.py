"""Lead times compared: each as a run of its own, one table, and what faster provisioning saves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Maker
from matplotlib.figure import Figure

import twin
from twin import Scenario
from twin.cli.main import call
from twin.report.savings import LeadTimeBar, bar_texts, paint_savings
from twin.scenario.given import Overrides
from twin.studies.lead_times.compare import LeadTimes, compare
from twin.studies.lead_times.findings import gain, warnings
from twin.studies.lead_times.read import read
from twin.studies.lead_times.slide import bars_of, sentence_of

RNG = np.random.default_rng(4)
WAVE = 100 + 40 * np.sin(np.arange(600)[:, None] / 20 + np.arange(2)) + RNG.uniform(0, 4, (600, 2))


def study_of(path: Path, leads: list[float], *overrides: str) -> LeadTimes:
    return compare(Scenario.load(path, Overrides(overrides)), leads)


def test_each_lead_time_is_a_run_with_it_on_all_links(make: Maker) -> None:
    path = make(WAVE, ["conformal", "rolling_max"])
    own = ("links.link-2.lead_time=2h", "links.link-2.min=70", "links.defaults.cooldown=10min")
    study = study_of(path, [3600.0, 0.0], *own)
    assert study.lead_times == [0.0, 3600.0]
    assert study.table["policy"].tolist() == ["conformal"] * 2 + ["rolling_max"] * 2
    for lead, text in ((0.0, "0s"), (3600.0, "1h")):
        alike = [f"links.{link}.lead_time={text}" for link in ("defaults", "link-2")]
        summary = twin.run(path, overrides=[*own, *alike]).summary
        rows = study.table[study.table["lead_time_s"] == lead].reset_index(drop=True)
        whole = summary[summary["link"] == "all"].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            rows[list(whole.columns.drop("link"))], whole.drop(columns="link")
        )
        for row in rows.to_dict("records"):
            links = summary[(summary["policy"] == row["policy"]) & (summary["link"] != "all")]
            rates = links["sla_violation_rate"]
            assert row["links_within_sla"] == (rates <= 0.01).sum()
            assert row["links_missing_sla"] == (rates > 0.01).sum()
            assert row["worst_link_violation_rate"] == rates.max()


def test_a_constant_does_not_care_how_late_it_is_ordered(make: Maker) -> None:
    table = study_of(make(WAVE, ["static_p95"]), [0.0, 60.0, 7200.0]).table
    for column in ("sla_violation_rate", "over_provisioning_pct", "unmet_mbit"):
        assert (table[column] == table[column][0]).all()


def test_the_last_value_ordered_k_ticks_late_is_the_value_before_that(make: Maker) -> None:
    # In force in interval i is what was decided k ticks before: demand of interval i - k - 1.
    table = study_of(make(WAVE, ["last_value"]), [0.0, 900.0]).table.set_index("lead_time_s")
    demand = WAVE[300:]
    for lead, k in ((0.0, 0), (900.0, 3)):
        allocated = np.vstack([np.repeat(WAVE[299:300], k + 1, axis=0), demand[: 299 - k]])
        violated = (demand > allocated).mean()
        assert table.loc[lead, "sla_violation_rate"] == pytest.approx(violated, rel=1e-12)
        over = np.maximum(allocated - demand, 0).sum() / demand.sum()
        assert table.loc[lead, "over_provisioning_pct"] == pytest.approx(100 * over, rel=1e-9)


def test_the_gain_is_the_difference_of_the_best_policies_that_keep_the_sla(make: Maker) -> None:
    policies = ["rolling_max", "static_mean2sigma", {"name": "bound", "use": "oracle"}]
    study = study_of(make(WAVE, policies, sla={"target": "2%"}), [0.0, 300.0, 14_400.0])
    table = study.table[study.table["policy"] != "bound"]
    best = {}
    for lead, rows in table.groupby("lead_time_s"):
        kept = rows[rows["worst_link_violation_rate"] <= 0.02]
        best[lead] = kept.loc[kept["over_provisioning_pct"].idxmin()]
    assert best[0.0]["policy"] == "rolling_max"
    assert best[14_400.0]["policy"] == "static_mean2sigma"
    less = best[14_400.0]["over_provisioning_pct"] - best[0.0]["over_provisioning_pct"]
    first, *_ = gain(study)
    assert first.startswith(
        f"Provisioning within 0s instead of 4h saves over-provisioning of {less:.1f} % of mean"
    )
    assert "rolling_max with" in first
    assert "static_mean2sigma with" in first
    assert "bound" not in " ".join(gain(study))


def test_where_no_policy_keeps_the_sla_it_says_so_and_who_is_closest(make: Maker) -> None:
    text = " ".join(gain(study_of(make(WAVE, ["last_value", "static_p95"]), [0.0, 3600.0])))
    assert text.startswith("At none of the lead times does a policy keep the SLA on every link.")
    assert "At 1h no policy keeps the SLA on every link; static_p95 is closest, with 0 of" in text


def test_a_lead_time_longer_than_the_replay_is_said_to_change_nothing(make: Maker) -> None:
    # 300 intervals of 5 minutes: an order of the second tick is in force before the end, or not.
    length = 300 * 300.0
    study = study_of(make(WAVE, ["last_value"]), [0.0, length - 600, length - 300, 2 * length])
    assert study.too_long == [length - 300, 2 * length]
    (said,) = warnings(study)
    assert said.startswith("With a lead time of 1d 55min or 2d 2h no order takes effect within the")
    rows = study.table.set_index("lead_time_s")
    held = np.maximum(WAVE[299] - WAVE[300:], 0).sum() / WAVE[300:].sum()
    for lead in study.too_long:
        assert rows.loc[lead, "over_provisioning_pct"] == pytest.approx(100 * held)
    assert rows.loc[length - 600, "over_provisioning_pct"] != pytest.approx(100 * held)
    assert warnings(study_of(make(WAVE), [0.0, 300.0])) == []


def test_the_command_writes_table_picture_and_a_page_that_needs_nothing(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    path = str(make(WAVE, ["rolling_max", "static_mean2sigma"], prices={"capacity": 0.1}))
    words = ["run", path, "--lead-times", "15min, 0s,2d", "--out", str(out)]
    assert call(words) == 0
    printed = capsys.readouterr().out
    table = pd.read_csv(out / "lead_times.csv")
    assert table.columns[:2].tolist() == ["policy", "lead_time_s"]
    assert {"sla_violation_rate", "links_within_sla", "over_provisioning_pct",
            "sla_violation_minutes", "cost"} <= set(table)  # fmt: skip
    assert table["lead_time_s"].tolist() == [0, 900, 172_800] * 2
    assert (out / "figures" / "lead_times.png").read_bytes()[:4] == b"\x89PNG"
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 1
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    for text in ("Provisioning within", "With a lead time of 2d no order takes effect"):
        assert text in printed
        assert text in page
    facts = json.loads((out / "manifest.json").read_text())
    assert facts["lead_times_s"] == [0, 900, 172_800]
    assert set(facts["files"]) == {
        "figures/lead_times.png", "lead_times.csv", "report.html", "scenario.yaml"
    }  # fmt: skip
    assert twin.run(out / "scenario.yaml").summary["policy"].nunique() == 2

    assert call(words) == 2
    assert "holds another run; choose another folder, or add --force" in capsys.readouterr().err
    assert call(["report", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"{out}: holds a comparison of lead times, not one run; its report.html is written by "
        "'twin run --lead-times'; --slide makes a slide\n"
    )
    assert call(["report", str(out), "--slide"]) == 0
    assert "slide.pdf, slide.png" in capsys.readouterr().out
    assert (out / "slide.png").read_bytes().startswith(b"\x89PNG")
    study = read(out)
    assert study is not None
    assert [bar.seconds for bar in bars_of(study)] == [172_800, 900, 0]
    assert sentence_of(study).startswith("Provisioning within 0s instead of ")
    assert sentence_of(study).endswith(" Mbit/s a link on average.")
    (out / "lead_times.csv").write_text("policy\n")
    assert call(["report", str(out), "--slide"]) == 2
    assert "lead_times.csv: cannot be read: it is not the one" in capsys.readouterr().err
    assert call([*words, "--force", "--no-report"]) == 0
    assert not (out / "report.html").exists()
    assert not (out / "figures" / "lead_times.png").exists()


def test_the_same_numbers_give_the_same_files(make: Maker, tmp_path: Path) -> None:
    path = str(make(WAVE, ["rolling_max"]))
    for name in ("a", "b"):
        assert call(["run", path, "--lead-times", "0s,1h", "--out", str(tmp_path / name)]) == 0
    for name in ("lead_times.csv", "report.html", "figures/lead_times.png", "scenario.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.long
def test_the_backbone_gives_its_reference_figures(backbone: Path) -> None:
    scenario = {"policies": ["conformal"], "demand": {"source": "csv", "path": str(backbone)}}
    leads = [0.0, 3600.0]
    rows = compare(Scenario.load(scenario), leads).table
    measured = rows["over_provisioning_pct"].to_numpy()
    assert measured == pytest.approx([3.7, 11.0], abs=0.15)
    assert (rows["sla_violation_rate"] <= 0.01).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lead-times", "0s,5x"],
         "--lead-times: '5x' has the unknown unit 'x'; use ms, s, min, h, d, w, mo or y"),
        (["--lead-times", "0s,60min,1h"], "--lead-times: 1h is listed twice"),
        (["--lead-times", "1h"],
         "--lead-times: are to be compared; write at least two, such as 0s,15min,1h"),
        (["--lead-times", ""],
         "--lead-times: a duration is empty; write it like '90min', '8h 2min 30s' or '3d'"),
        (["--lead-times", "0s,1h", "--frontier"], "--lead-times: cannot go with --frontier"),
        (["--lead-times", "0s,1h", "--fork", "1d", "--branch", "b.yaml"],
         "--lead-times: cannot go with --fork"),
    ],
)  # fmt: skip
def test_lead_times_that_cannot_be_compared_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["run", "surge", "--policies", "static_p95", *words]) == 2
    assert capsys.readouterr().err == f"{message}\n"
    assert not Path("out").exists()


def test_a_bar_says_what_its_lead_time_saves_against_the_slowest_that_holds() -> None:
    bars = [
        LeadTimeBar(7200, float("nan"), ""), LeadTimeBar(3600, 40.0, "a"),
        LeadTimeBar(900, 42.5, "b"), LeadTimeBar(0, 7.25, "c"),
    ]  # fmt: skip
    assert bar_texts(bars) == [
        "no policy keeps the SLA", "40, a", "42.5, b: costs 2.5 more", "7.25, c: saves 32.8"
    ]  # fmt: skip
    panel = Figure().subplots()
    paint_savings(bars, "% of demand", panel)
    assert [bar.get_width() for bar in panel.patches] == [0, 40, 42.5, 7.25]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["2h", "1h", "15min", "0s"]
    assert panel.yaxis_inverted()
