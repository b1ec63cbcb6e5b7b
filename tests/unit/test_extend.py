"""A trace that is extended: what is repeated, how it grows, and where a run says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from outlooks import HOUR_S, hours, scenario, weekly

import twin
from twin.batches.plan.payload import Payload, UnpackedPayload
from twin.core.calendar import CalendarSpan
from twin.core.units import DAY_S, YEAR_S, bit_rate, duration
from twin.demand.growth import Growth, growth_of, growths


def extended(mbps: Any, growth: Any = None, **extend: Any) -> Any:
    demand: dict[str, Any] = {"extend": {"for": "8w", "repeat": "2w"} | extend}
    if growth is not None:
        demand["growth"] = growth
    return scenario(mbps, demand=demand)


def test_a_trace_that_grows_as_stated_goes_on_as_it_was() -> None:
    def demand(times: Any) -> Any:
        return 100 * weekly(times) * 1.3 ** (times / YEAR_S)

    trace = extended(demand(hours(6)), "30%/year").trace
    assert trace.measured == 6 * 168
    np.testing.assert_allclose(trace.demand_mbps[:, 0], demand(hours(14)))


def test_an_amount_is_added_to_the_busy_value() -> None:
    trace = extended(100 * weekly(hours(6)), "365.25 Mbit/s/year").trace
    weeks = trace.demand_mbps[:, 0].reshape(-1, 168)
    busy = np.percentile(weeks, 95, axis=1)
    np.testing.assert_allclose(busy[:6], 100)
    # Two weeks are 14 Mbit/s; each week that is added is 2, 4, 6 or 8 weeks after its source.
    np.testing.assert_allclose(busy[6:], [114, 114, 128, 128, 142, 142, 156, 156])


def test_links_grow_by_name_and_pattern() -> None:
    mbps = np.repeat(100 * weekly(hours(6))[:, None], 3, axis=1)
    rates = {"link-2": "-50%/year", "link-*": "50%/year"}
    trace = extended(mbps, rates, **{"for": "2w"}).trace
    last = trace.demand_mbps[-1] / trace.demand_mbps[-1 - 336]
    year = 2 / 52.178571
    np.testing.assert_allclose(last, [1.5**year, 0.5**year, 1.5**year], rtol=1e-6)


def test_policies_learn_from_what_is_measured_alone() -> None:
    checked = extended(100 * weekly(hours(10)), "30%/year")
    assert checked.span.history == 8 * 168
    assert checked.span.intervals == 2 * 168 + 8 * 168


def test_a_run_says_what_is_not_measured() -> None:
    checked = extended(100 * weekly(hours(10)), "30%/year")
    (note,) = checked.warnings
    assert note == (
        "from 14d (2024-03-11 00:00+00:00) on demand is not measured: the last 14d of it repeated, "
        "grown by 30%/year"
    )
    result = twin.run(checked)
    assert note in result.manifest["warnings"]
    assert result.manifest["trace"]["measured_samples"] == 1680
    within = {"start": "7d", "duration": "7d"}
    again = scenario(
        100 * weekly(hours(10)), demand={"extend": {"for": "8w", "repeat": "2w"}}, replay=within
    )
    assert again.warnings == ()
    # Growth by itself changes no measured demand, and a run says so.
    (note,) = scenario(100 * weekly(hours(10)), demand={"growth": "30%/year"}).warnings
    assert note.startswith("'demand.growth' changes no measured demand")


def test_missing_samples_are_missing_again() -> None:
    mbps = 100 * weekly(hours(6))
    mbps[-100:-90] = np.nan
    trace = extended(mbps, "30%/year").trace
    assert np.isnan(trace.demand_mbps).sum() == 10 * 5


@pytest.mark.parametrize(
    ("extend", "message"),
    [
        ({"repeat": "36h"}, "extend.repeat: must be a whole number of days, so that the hours"),
        ({"repeat": "7w"}, "extend.repeat: 49d is longer than the trace, 42d; write 'repeat: 6w'"),
        ({"for": "30min"}, "extend.for: is shorter than a tick"),
        ({"for": "90y", "repeat": "1d"}, "extend.for: makes "),
        ({"for": "0d"}, "extend.for: must be longer than 0s"),
    ],
)
def test_what_cannot_be_extended_is_refused(extend: dict[str, Any], message: str) -> None:
    demand = {"max_values": 100_000, "extend": {"for": "8w", "repeat": "2w"} | extend}
    with pytest.raises(twin.InputError, match=message):
        scenario(100 * weekly(hours(6)), demand=demand)


def test_extending_reaches_over_months_of_the_calendar() -> None:
    trace = extended(100 * weekly(hours(6)), **{"for": "1mo"}).trace
    # From 12 February to 12 March of a leap year.
    assert trace.samples - trace.measured == 29 * 24


def test_spans_of_the_calendar() -> None:
    start = datetime(2027, 1, 31, 12, tzinfo=UTC)
    assert CalendarSpan.of("1mo").seconds(start) == 28 * DAY_S
    assert CalendarSpan.of("1y 1mo 2d").seconds(start) == (365 + 29 + 2) * DAY_S
    assert CalendarSpan.of("1mo").seconds() == duration("1mo") == YEAR_S / 12
    assert CalendarSpan.of("1.5mo").seconds(start) == YEAR_S / 8
    assert duration("2y") == 2 * 365.25 * DAY_S


def test_rates_of_growth() -> None:
    assert Growth.of("30%/year").yearly_factor == pytest.approx(1.3)
    assert Growth.of("2 %/month").yearly_factor == pytest.approx(1.02**12)
    assert Growth.of("-1.5Gbit/s per y").mbps_per_year == -1500
    assert Growth.of("7Mbit/s/week").mbps_per_year == pytest.approx(365.25)
    busy = Growth.of("-1.5Gbit/s/year").factor(np.array([0.0, YEAR_S]), 1000)
    assert busy.tolist() == [1, 0]
    for wrong in ("30%", "30/year", "30%/day", "1GB/s/year", 30, "x%/year"):
        with pytest.raises(ValueError, match="growth is written like"):
            Growth.of(wrong)
    with pytest.raises(ValueError, match="leaves nothing; write more than -100%"):
        Growth.of("-100%/year")
    stated = growths({"a": "1%/year", "b*": "2%/year", "defaults": "3%/year"})
    texts = [rate.text if rate else None for rate in growth_of(stated, ["a", "ba", "c"])]
    assert texts == ["1%/year", "2%/year", "3%/year"]


def test_rates_with_units() -> None:
    assert bit_rate("100Gbit/s") == 100_000
    assert bit_rate("2.5 Tbit/s") == 2_500_000
    assert bit_rate(40) == 40
    for wrong in ("100", "100G", True, "1 GB/s"):
        with pytest.raises(ValueError, match="a rate is written like '10Gbit/s'"):
            bit_rate(wrong)


def test_an_extended_scenario_is_read_again_as_it_was_written() -> None:
    checked = extended(100 * weekly(hours(6)), {"link-1": "30%/year"}, **{"for": "2mo"})
    block = checked.spec.demand.model_dump(mode="json", by_alias=True)
    assert block["growth"] == {"link-1": "30%/year"}
    assert block["extend"] == {"for": "2mo", "repeat": "14d"}
    assert checked.trace.tick_s == HOUR_S


def test_workers_of_a_batch_know_what_was_measured_and_what_was_interpolated(
    tmp_path: Path,
) -> None:
    mbps = 100 * weekly(hours(6))
    rows = [f"{300 * i},{value}" for i, value in enumerate(mbps[:600]) if i not in (40, 41)]
    (tmp_path / "t.csv").write_text("time,internet\n" + "\n".join(rows))
    demand = {"source": "csv", "path": "t.csv", "extend": {"for": "1d", "repeat": "1d"}}
    path = tmp_path / "gaps.yaml"
    path.write_text(yaml.safe_dump({"demand": demand, "policies": ["static_p95"]}))
    checked = twin.Scenario.load(path)
    payload = Payload()
    packed = payload.pack(checked)
    trace = UnpackedPayload(payload.sealed()[1]).scenario(packed).trace
    assert trace.measured == checked.trace.measured == 600
    assert len(trace.gaps["internet"]) == len(checked.trace.gaps["internet"]) == 1
