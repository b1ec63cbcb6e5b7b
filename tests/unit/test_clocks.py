"""Local times, dates and hours across both changes of the clock."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from csv_folder import CsvFolder
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import twin
from twin.core import clock
from twin.core.errors import InputError
from twin.report import style
from twin.report.dates import clock_changes, date_axis
from twin.report.run.answers import failure_in_words
from twin.report.run.figures import allocation_figure
from twin.report.run.findings import find
from twin.report.run.page import render
from twin.report.run.slide import picture_of
from twin.report.run.source import RunData

ZONE = "Europe/Berlin"
BERLIN = ZoneInfo(ZONE)


@pytest.fixture
def folder(tmp_path):
    return CsvFolder(tmp_path)


def _local_rows(first: datetime, samples: int, minutes: int) -> list[datetime]:
    """Return what clocks in Berlin show, from `first` in UTC."""
    moments = [first + timedelta(minutes=minutes * k) for k in range(samples)]
    return [moment.astimezone(BERLIN).replace(tzinfo=None) for moment in moments]


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]
)
@pytest.mark.parametrize("minutes", [5, 30, 60])
@pytest.mark.parametrize("links", [("a",), ("a", "b")])
def test_a_local_trace_runs_on_through_a_change(folder, day, minutes, links):
    shown = _local_rows(day, 3 * 24 * 60 // minutes, minutes)
    rows = [f"{t.isoformat()},{x},{k}" for k, t in enumerate(shown) for x in links]
    trace = folder.read("time,link,internet\n" + "\n".join(rows), tick=60 * minutes, timezone=ZONE)
    assert trace.starts == day
    assert not np.isnan(trace.demand_mbps).any()
    assert trace.demand_mbps[:, 0].tolist() == list(range(len(shown)))


def test_a_trace_that_runs_backwards_is_told_apart_too(folder):
    shown = _local_rows(datetime(2026, 10, 24, 22, tzinfo=UTC), 60, 5)
    rows = [f"{t.isoformat()},{k}" for k, t in enumerate(shown)][::-1]
    trace = folder.read("time,internet\n" + "\n".join(rows), timezone=ZONE)
    assert trace.demand_mbps[:, 0].tolist() == list(range(60))


def test_an_hour_that_is_there_once_is_refused(folder):
    shown = _local_rows(datetime(2026, 10, 24, 23, tzinfo=UTC), 48, 5)
    rows = [f"{t.isoformat()},{k}" for k, t in enumerate(shown) if not 12 <= k < 24]
    assert folder.refused("time,internet\n" + "\n".join(rows), timezone=ZONE) == [
        f"a.csv:14: time: 2026-10-25T02:00:00 comes twice in {ZONE}, and the order of the rows "
        "does not tell which it is; write times in UTC, or with their offset from it"
    ]


def test_a_trace_that_ends_in_the_hour_is_its_first_pass(folder):
    shown = _local_rows(datetime(2026, 10, 24, 23, tzinfo=UTC), 18, 5)
    rows = [f"{t.isoformat()},{k}" for k, t in enumerate(shown)]
    trace = folder.read("time,internet\n" + "\n".join(rows), timezone=ZONE)
    assert (trace.samples, trace.starts) == (18, datetime(2026, 10, 24, 23, tzinfo=UTC))


def test_a_time_that_no_clock_shows_is_refused(folder):
    rows = "2026-03-29T01:55,1\n2026-03-29T02:00,1\n2026-03-29T03:05,1\n"
    assert folder.refused("time,internet\n" + rows, timezone=ZONE) == [
        f"a.csv:3: time: 2026-03-29T02:00:00 does not exist in {ZONE}, where the clock is set "
        "forward; correct 'timezone', or write times in UTC, or with their offset from it"
    ]


@pytest.mark.parametrize("month", [3, 10])
def test_offsets_are_those_of_the_library(month):
    first = np.datetime64(f"2026-{month:02}-24T00:00", "us").astype(np.int64)
    times = first + np.arange(0, 9 * 86_400, 600) * clock.SECOND
    expected = [
        datetime.fromtimestamp(t / clock.SECOND, BERLIN).utcoffset() / timedelta(microseconds=1)
        for t in times.tolist()
    ]
    assert clock.offsets(times, ZONE, of_local=False).tolist() == expected


def _scenario(tmp_path, day: datetime, **more):
    samples = 4 * 24
    rows = "".join(
        f"{t.isoformat()},{10 + k % 7}\n" for k, t in enumerate(_local_rows(day, samples, 60))
    )
    (tmp_path / "a.csv").write_text("time,internet\n" + rows)
    demand = {"source": "csv", "path": str(tmp_path / "a.csv"), "timezone": ZONE, "train": 0.25}
    return {"name": "days", "demand": demand, "policies": ["static_p95"], **more}


@pytest.mark.parametrize(
    ("day", "at", "hours"),
    [(datetime(2026, 3, 27, 23, tzinfo=UTC), "2026-03-29T20:00", 19),
     (datetime(2026, 10, 23, 22, tzinfo=UTC), "2026-10-25T20:00", 21)],
)  # fmt: skip
def test_events_and_hours_are_local(tmp_path, day, at, hours):
    surge = {"kind": "surge", "start": at, "duration": "2h", "factor": 3}
    result = twin.run(_scenario(tmp_path, day, events=[surge]))
    # The replay starts at midnight of the day whose clock is changed.
    assert result.scenario.spec.events[0].start == hours * 3600
    assert result.events["time"].tolist()[0].startswith(at)
    risen = result.intervals[result.intervals["demand_mbps"] > 20]
    assert sorted(set(risen["time"].dt.hour)) == [20, 21]
    counted = result.hours[result.hours["link"] == "all"].set_index("hour")["intervals"]
    assert counted[2] == 3 + (-1 if day.month == 3 else 1)
    assert counted.sum() == 72
    result.save(tmp_path / "out", figures=False)
    schema = pq.read_schema(tmp_path / "out" / "intervals.parquet")
    assert str(schema.field("time").type) == f"timestamp[us, tz={ZONE}]"


def test_a_policy_is_told_local_time(tmp_path):
    class Noting(twin.Policy):
        seen: ClassVar[list[datetime]] = []

        def allocate(self, observation):
            Noting.seen.append(observation.time)
            return np.full(len(observation.links), 20.0)

    twin.run(_scenario(tmp_path, datetime(2026, 3, 27, 23, tzinfo=UTC)), policies=[Noting()])
    assert {time.tzinfo for time in Noting.seen} == {BERLIN}
    assert [time.hour for time in Noting.seen[:4]] == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("2026-10-25T02:30", "events.0.start: 2026-10-25T02:30:00 comes twice in Europe/Berlin: "
         "the clock is set back; write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
        ("2026-10-01T02:30", "events.0.start: 2026-10-01T02:30:00 is before the replay, which "
         "starts at 2026-10-25T00:00:00+02:00"),
        ("2026-11-05T02:30", "events.0.start: is after the end of the replay, 3d"),
        ("2026-11-5", "events.0.start: '2026-11-5' is not a duration; write it like '90min', "
         "'8h 2min 30s' or '3d'"),
        ("2026-11-05T27:30", "events.0.start: '2026-11-05T27:30' is no date; write it like "
         "2026-04-04T20:00"),
    ],
)  # fmt: skip
def test_a_date_that_is_none_is_refused(tmp_path, start, message):
    scenario = _scenario(
        tmp_path,
        datetime(2026, 10, 23, 22, tzinfo=UTC),
        events=[{"kind": "surge", "start": start, "factor": 2, "duration": "1h"}],
    )
    with pytest.raises(InputError) as caught:
        twin.Scenario.load(scenario)
    assert str(caught.value) == message


def test_an_offset_tells_which_of_the_two_hours(tmp_path):
    day = datetime(2026, 10, 23, 22, tzinfo=UTC)
    for offset, hour in (("+02:00", 2), ("+01:00", 3)):
        event = {
            "kind": "surge",
            "start": f"2026-10-25T02:30{offset}",
            "duration": "1h",
            "factor": 2,
        }
        spec = twin.Scenario.load(_scenario(tmp_path, day, events=[event])).spec
        assert spec.events[0].start == (hour + 0.5) * 3600


def test_a_date_needs_a_trace_with_dates():
    event = {"kind": "surge", "start": "2026-10-25T02:30", "duration": "1h", "factor": 2}
    with pytest.raises(InputError, match="is a date, but the trace has none"):
        twin.run("baseline", overrides={"events": [event]})


def test_an_event_at_a_date_is_added_under_way(tmp_path):
    scenario = twin.Scenario.load(_scenario(tmp_path, datetime(2026, 3, 27, 23, tzinfo=UTC)))
    simulation = twin.Simulation(scenario.trace, policies=["static_p95"], train=0.25)
    simulation.add(twin.Surge(start="2026-03-29T20:00", duration="1h", factor=3))
    assert simulation.run().events["time_s"].tolist()[0] == 19 * 3600


def test_unknown_zones_are_refused():
    with pytest.raises(
        ValueError, match="no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'"
    ):
        clock.zone("Europe/Berln")


def test_milliseconds_are_a_duration():
    assert twin.Surge(start="10ms", duration="1h", factor=2).start == 0.01


@pytest.mark.parametrize(
    ("starts", "hours", "places", "labels"),
    [
        (
            datetime(2026, 3, 28, 22, tzinfo=UTC),
            6,
            [0, 1, 2, 3, 4, 5, 6],
            ["23:00", "00:00\n29 Mar", "01:00", "03:00", "04:00", "05:00", "06:00"],
        ),
        (
            datetime(2026, 10, 24, 21, tzinfo=UTC),
            160,
            [1, 26, 50, 74, 98, 122, 146],
            ["25 Oct", "26 Oct", "27 Oct", "28 Oct", "29 Oct", "30 Oct", "31 Oct"],
        ),
    ],
)
def test_axes_show_local_dates(starts, hours, places, labels):
    axes = Figure().subplots()
    axes.set_xlim(0, hours)
    date_axis(axes, starts, ZONE)
    assert axes.get_xticks().tolist() == places
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    assert axes.get_xlabel() == f"time in {ZONE}"


def test_the_events_of_a_dated_run_are_read_back(tmp_path):
    times = pd.date_range("2026-03-26", periods=5 * 288, freq="5min", tz="UTC")
    trace = twin.Trace.from_frame(pd.DataFrame({"a": np.arange(len(times)) + 1.0}, index=times))
    event = twin.LinkFailure(start="1h", duration="30min")
    result = twin.Simulation(trace, ["static_p95"], events=[event]).run()
    folder = result.save(tmp_path / "dated", figures=False)
    shown = ["2026-03-30T01:00:00+00:00", "2026-03-30T01:30:00+00:00"]
    assert RunData.read(folder).events["time"].tolist() == shown
    assert twin.load(folder).events["time"].tolist() == shown


def test_a_report_and_its_pictures_show_local_times(tmp_path):
    times = pd.date_range("2026-03-25", periods=5 * 288, freq="5min", tz="UTC")
    load = {name: 100 + np.sin(np.arange(len(times))) for name in ("a", "b")}
    frame = pd.DataFrame(load, index=times)
    frame.to_csv(tmp_path / "t.csv", index_label="time")
    keys = {"source": "csv", "path": str(tmp_path / "t.csv"), "layout": "wide", "timezone": ZONE}
    event = {"kind": "link_failure", "links": ["b"], "start": "2026-03-29T03:00", "duration": "1h"}
    scenario = {"name": "dated", "demand": keys, "policies": ["static_p95", "rolling_max"]}
    result = twin.run({**scenario, "events": [event]})
    run = RunData.of(result)
    # The clock is set forward at 02:00 on the 29th, an hour into the replay.
    assert run.instant(0) == "2026-03-29 01:00"
    assert run.instant(3600) == "2026-03-29 03:00"
    assert failure_in_words(find(run), 0).startswith(
        "While b was down (from 2026-03-29 03:00, for 1h), "
    )
    panel = Figure().subplots()
    picture_of(find(run))(panel)
    assert panel.get_xlabel() == f"time in {ZONE}"
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert labels == [
        "03:00",
        "06:00",
        "09:00",
        "12:00",
        "15:00",
        "18:00",
        "21:00",
        "00:00\n30 Mar",
    ]
    page = render(run)
    assert f"2026-03-29 01:00 (time in {ZONE})" in page
    assert "2026-03-29 03:00" in page
    figure = allocation_figure(run)
    (legend,) = figure.legends
    patch = legend.legend_handles[0]
    assert legend.get_texts()[0].get_text() == "allocation"
    assert to_hex(patch.get_edgecolor()) == style.GREY.lower()
    assert style.GREY not in style.POLICY_COLOURS


def test_changes_of_the_clock_are_told_with_what_it_shows_from_then_on():
    starts = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    first, second = clock_changes(starts, ZONE, 12)
    # 00:30 in Berlin; 90 minutes later clocks go from 02:00 to 03:00.
    begin = int(datetime(2026, 3, 29, 0, 30, tzinfo=UTC).timestamp())
    assert first == (0, begin)
    assert second == (5400, begin + 3600)
    assert clock_changes(starts.replace(tzinfo=None), None, 12) == [(0, begin - 3600)]
