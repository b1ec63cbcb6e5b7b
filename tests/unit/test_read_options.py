"""Keys of the demand that say how an export is to be read."""

from datetime import UTC, datetime

import numpy as np
import pytest
from csv_folder import CsvFolder

import twin


@pytest.fixture
def folder(tmp_path):
    return CsvFolder(tmp_path)


def _rows(values, step=300, header="time,internet"):
    return header + "\n" + "".join(f"{step * k},{value}\n" for k, value in enumerate(values))


@pytest.mark.parametrize(
    "word", ["NaN", "-nan", "null", "NULL", "U", "N/A", "", " - ", "None", "#N/A"]
)
def test_words_for_a_missing_sample(folder, word):
    trace = folder.read(_rows([1, word, 3]))
    assert trace.demand_mbps.ravel().tolist() == [1, 2, 3]
    assert trace.repairs == ("1 gap of up to 1h (1 sample) interpolated",)


def test_times_near_the_grid_are_moved_to_it_and_counted(folder):
    off = [0, 3, -29, 0, 30, 12]
    rows = "".join(f"{300 * (k + 1) + off[k]},{k}\n" for k in range(6))
    trace = folder.read("time,internet\n" + rows)
    assert trace.demand_mbps.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert trace.repairs == ("4 times moved to the grid of 5min, by up to 30s",)
    assert folder.refused("time,internet\n" + rows, snap="0s")
    assert folder.read("time,internet\n" + rows, snap="45s").samples == 6


def test_a_constant_offset_is_no_jitter(folder):
    trace = folder.read(_rows([1, 2, 3]).replace("0,1", "7,1").replace("300,", "307,")
                        .replace("600,", "607,"))  # fmt: skip
    assert trace.repairs == ()


def test_minutes_keep_their_peak(folder):
    values = np.random.default_rng(1).integers(1, 1000, 60)
    parts = values.reshape(-1, 5)
    for how, expected in (
        ("mean", parts.mean(axis=1)),
        ("max", parts.max(axis=1)),
        ("p95", np.percentile(parts, 95, axis=1)),
    ):
        trace = folder.read(_rows(values, 60), aggregate=how)
        assert trace.demand_mbps[:, 0] == pytest.approx(expected)
    assert trace.repairs == ("samples of 1min as the P95 of 5min",)


def test_a_coarser_trace_makes_its_step_the_tick_unless_one_is_stated(tmp_path):
    (tmp_path / "a.csv").write_text(_rows(range(1, 41), 900))
    demand = {"source": "csv", "path": str(tmp_path / "a.csv")}
    scenario = twin.Scenario.load({"demand": demand, "policies": ["static_p95"]})
    assert (scenario.trace.tick_s, scenario.spec.tick) == (900, 900)
    assert scenario.trace.repairs[0] == ("the tick is 15min, since the trace has a step of 15min")
    result = twin.run(scenario)
    assert "tick: 15min" in result.resolved_scenario()
    with pytest.raises(twin.InputError, match="coarser than the tick of 5min; write 'tick: 15min'"):
        twin.Scenario.load({"demand": demand, "policies": ["static_p95"], "tick": "5min"})


def test_a_step_that_does_not_divide_5_minutes_has_a_tick_that_it_divides(tmp_path):
    (tmp_path / "a.csv").write_text(_rows(range(1, 41), 120))
    demand = {"source": "csv", "path": str(tmp_path / "a.csv")}
    scenario = twin.Scenario.load({"demand": demand, "policies": ["static_p95"]})
    assert scenario.trace.tick_s == 360


def test_values_with_their_own_unit(folder):
    cells = ["5.17 Gb/s", "990 Mb/s", "12 kbit/s", "0", "8 MB/s", "1 MiB/s", "3 bps"]
    trace = folder.read(_rows(cells), unit="byte/s")
    expected = [5170, 990, 0.012, 0, 64, 8.388608, 3e-6]
    assert trace.demand_mbps.ravel() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("decimal", "cells"),
    [(",", ["1,5", "1.234,5", "1.234.567", "1 234,5"]),
     (".", ["1.5", "1,234.5", "1,234,567", "1'234.5"])],
)  # fmt: skip
def test_decimals_and_thousands(folder, decimal, cells):
    rows = "".join(f"{300 * k};{cell}\n" for k, cell in enumerate(cells))
    trace = folder.read("time;internet\n" + rows, decimal=decimal)
    assert trace.demand_mbps.ravel().tolist() == [1.5, 1234.5, 1234567, 1234.5]


def test_a_text_in_another_encoding(folder):
    text = "time,Süd,Öst\n0,1,2\n300,3,4\n"
    assert folder.read(text.encode("cp1252"), encoding="cp1252", layout="wide").links == (
        "Süd",
        "Öst",
    )
    assert folder.read(text.encode("utf-16"), layout="wide").links == ("Süd", "Öst")
    assert folder.refused(text.encode("cp1252"), encoding="ascii", layout="wide") == [
        "a.csv:1: is not text in 'ascii', as 'encoding' says"
    ]


def test_a_link_that_several_columns_name(folder):
    rows = "time,device,port,internet\n" + "".join(
        f"{300 * k},{device},{port},{k + 1}\n"
        for k in range(3) for device in ("a", "b") for port in (1, 2)
    )  # fmt: skip
    trace = folder.read(rows, columns={"link": ["device", "port"]})
    assert trace.links == ("a:1", "a:2", "b:1", "b:2")
    assert folder.read(rows, columns={"link": ["device", "port"]}, only=["b:*"]).links == (
        "b:1", "b:2",
    )  # fmt: skip


def test_columns_of_demand_are_a_link_each(folder):
    rows = "time,link,in,out\n0,a,1,2\n0,b,3,4\n300,a,5,6\n300,b,7,\n600,a,9,9\n600,b,8,6\n"
    trace = folder.read(rows, columns={"internet": ["in", "out"]})
    assert trace.links == ("a:in", "a:out", "b:in", "b:out")
    assert trace.demand_mbps.tolist() == [[1, 2, 3, 4], [5, 6, 7, 5], [9, 9, 8, 6]]
    bad = rows.replace("7,\n", "7,many\n")
    assert folder.refused(bad, columns={"internet": ["in", "out"]})[0].startswith("a.csv:5: out: ")


def test_a_stamp_at_the_end_belongs_to_the_interval_before(folder):
    rows = "time,internet\n2026-03-01T00:05Z,1\n2026-03-01T00:10Z,2\n"
    assert folder.read(rows, stamp="end").starts == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "unit", "warned"),
    [("in_bps", None, True), ("in_bps", "bit/s", False), ("in_mbps", None, False),
     ("bytes/s", None, True), ("mean", None, False), ("Traffic (Gbps)", "Gbit/s", False)],
)  # fmt: skip
def test_an_unlikely_unit_is_warned_of(folder, header, unit, warned):
    demand = {"columns": {"internet": header}} | ({} if unit is None else {"unit": unit})
    trace = folder.read(_rows([1, 2, 3], header=f"time,{header}"), **demand)
    assert bool(trace.warnings) == warned
    if warned:
        assert trace.warnings == (
            f"column '{header}' is read as Mbit/s, the default: is 'demand.unit' right?",
        )


def test_more_than_100_tbits_are_warned_of(folder):
    (warning,) = folder.read(_rows([3e8, 2e8, 1e8])).warnings
    assert warning.startswith("a link has a mean of about 2e+08 Mbit/s, more than 100 Tbit/s")


def test_a_replay_of_one_interval_is_warned_of(tmp_path):
    (tmp_path / "a.csv").write_text(_rows(range(1, 41)))
    demand = {"source": "csv", "path": str(tmp_path / "a.csv")}
    replay = {"duration": "5min"}
    scenario = twin.Scenario.load({"demand": demand, "policies": ["static_p95"], "replay": replay})
    assert scenario.warnings == ("the replay is a single interval of 5min",)


def test_files_that_follow_each_other_continue_each_other(tmp_path):
    for month, first in (("2026-01", 0), ("2026-02", 20)):
        rows = "".join(f"{300 * k},a,{k + 1}\n" for k in range(first, first + 20))
        (tmp_path / f"{month}.csv").write_text("time,link,internet\n" + rows)
    demand = {"source": "csv", "path": str(tmp_path / "2026-*.csv")}
    trace = twin.Scenario.load({"demand": demand, "policies": ["static_p95"]}).trace
    assert trace.demand_mbps[:, 0].tolist() == list(range(1, 41))
    assert trace.repairs == ("2 files read, which follow each other in time",)
