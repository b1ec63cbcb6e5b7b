"""`twin run --journal`: a normal run folder of what a living twin decided."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from fed import HISTORY, feed, opened, table, trace

import twin
from twin.cli.main import call
from twin.live.clock import TraceFeed
from twin.live.living import LivingTwin

SCENARIO = """\
name: two-links
demand: {facilities: 2, length: 4d}
policies: [static_p95, last_value]
events:
  - {kind: link_failure, links: [link-2], start: 1h, duration: 20min}
"""


def test_a_journal_becomes_the_folder_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "two-links.yaml"
    file.write_text(SCENARIO)
    scenario = twin.Scenario.load(file)
    with LivingTwin.open(scenario, tmp_path / "state", split=True) as living:
        for samples, now in TraceFeed.of(living, scenario):
            if living.interval == 40:
                break
            living.take(samples, now)
            living.advance(now)
        live = living.result()
        live.save(tmp_path / "live", figures=False)
    file.unlink()
    out = tmp_path / "out"
    assert call(["run", "--journal", str(tmp_path / "state"), "--out", str(out)]) == 0
    assert "Decided again on a history of 921 samples." in capsys.readouterr().out
    for name in ("intervals.parquet", "summary.csv", "events.csv", "hours.csv"):
        assert (out / name).read_bytes() == (tmp_path / "live" / name).read_bytes()
    assert (out / "report.html").exists()
    assert (out / "intervals.parquet").read_bytes() == table(live)
    # And the trace's own replay leads there as well.
    file.write_text(SCENARIO)
    replay = twin.run(scenario, overrides={"replay.duration": "3h 20min"})
    columns = ["policy", "link", "interval", "requested_mbps", "allocated_mbps", "unmet_mbps"]
    assert replay.intervals[columns].equals(live.intervals[columns])


def test_it_says_what_it_covers_and_an_earlier_epoch_can_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path / "state", ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 4)
        living.refit("it was asked to")
        feed(living, trace(), HISTORY + 4, HISTORY + 9)
    command = ["run", "--no-report", "--out", str(tmp_path / "out"), "--force", "--journal"]
    assert call([*command, str(tmp_path / "state")]) == 0
    said = (
        "Decided again on a history of 605 samples.\n"
        "It goes back to interval 5, when the twin began anew: it was asked to; "
        "for what came before name a folder of the journal.\n"
    )
    assert said in capsys.readouterr().out
    assert len(pd.read_parquet(tmp_path / "out/intervals.parquet")) == 3 * 4
    assert call([*command, str(tmp_path / "state/journal/000001")]) == 0
    assert "It goes back" not in capsys.readouterr().out
    assert len(pd.read_parquet(tmp_path / "out/intervals.parquet")) == 3 * 5
