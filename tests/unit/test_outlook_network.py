"""An outlook on a network: growth of flows, and the worst single failure."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from outlooks import STARTS, days_to, hours, weekly

from twin.core.calendar import CalendarSpan
from twin.scenario.load import Scenario
from twin.studies.outlook.spec import OutlookSpec
from twin.studies.outlook.study import outlook
from twin.studies.outlook.tables import link_table

FLOWS = {"a>b": 300.0, "b>a": 100.0, "a>c": 200.0, "b>c": 50.0}
EDGES = [("a", "b"), ("b", "c"), ("a", "c")]


@pytest.fixture
def network(tmp_path: Path) -> Any:
    """Write a triangle with four flows of one shape; return what loads it with some growth."""
    times = hours(8)
    rows = [
        pd.DataFrame(
            {
                "time": [STARTS + timedelta(seconds=each) for each in times],
                "src": flow[0],
                "dst": flow[2],
                "demand": mbps * weekly(times),
            }
        )
        for flow, mbps in FLOWS.items()
    ]
    pd.concat(rows).to_csv(tmp_path / "tm.csv", index=False)

    def load(growth: Any) -> Scenario:
        spec = {
            "tick": "1h",
            "demand": {"source": "matrix", "path": "tm.csv", "growth": growth},
            "topology": {"links": [{"a": a, "b": b, "capacity_mbps": 1000} for a, b in EDGES]},
            "policies": ["static_p95"],
        }
        path = tmp_path / "net.yaml"
        path.write_text(yaml.safe_dump(spec))
        return Scenario.load(path)

    return load


def rows_of(scenario: Scenario) -> pd.DataFrame:
    study = outlook(scenario, OutlookSpec(ahead=CalendarSpan.of("10y")))
    return link_table(study).set_index("link")


def test_the_worst_failure_brings_the_day_forward(network: Any) -> None:
    rows = rows_of(network("30%/year"))
    # When a>c fails its flow takes a>b; when a>b fails its flow takes a>c>b.
    assert rows["busy_mbps"].to_dict() == pytest.approx(
        {"a>b": 300, "b>a": 100, "b>c": 50, "c>b": 0, "a>c": 200, "c>a": 0}
    )
    assert rows.loc["a>b", "busy_failed_mbps"] == pytest.approx(500)
    assert rows.loc["a>b", "worst_failure"] == "a>c+c>a"
    assert rows.loc["a>c", "busy_failed_mbps"] == pytest.approx(500)
    assert rows.loc["b>c", "busy_failed_mbps"] == pytest.approx(250)
    full = rows["reaches_capacity_days"], rows["reaches_capacity_failed_days"]
    assert full[0]["a>b"] == pytest.approx(days_to(1000 / 300, 1.3), abs=1e-3)
    assert full[1]["a>b"] == pytest.approx(days_to(2, 1.3), abs=1e-3)
    # A link that carries nothing runs out under a failure alone: c>b has a>b's flow then.
    assert np.isnan(full[0]["c>b"])
    assert full[1]["c>b"] == pytest.approx(days_to(1000 / 300, 1.3), abs=1e-3)


def test_flows_grow_each_at_its_own_rate(network: Any) -> None:
    rows = rows_of(network({"a>c": "60%/year", "defaults": "10%/year"}))
    assert rows.loc["a>c", "growth_per_year"] == pytest.approx(0.6)
    assert rows.loc["a>b", "growth_per_year"] == pytest.approx(0.1)
    assert rows.loc["a>c", "reaches_target_days"] == pytest.approx(days_to(4, 1.6), abs=1e-3)


def test_a_trace_of_links_knows_no_failures(network: Any) -> None:
    from outlooks import look

    assert "worst_failure" not in link_table(look(500 * weekly(hours(8)), "1%/year"))
