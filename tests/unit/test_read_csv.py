"""Reading CSV: the layouts, times and units that are accepted."""

import bz2
import gzip
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from csv_folder import GOOD, CsvFolder

from twin.demand.read import read
from twin.demand.spec import DemandSpec


@pytest.fixture
def folder(tmp_path):
    return CsvFolder(tmp_path)


def test_a_long_file_becomes_samples_by_links(folder):
    trace = folder.read(GOOD)
    assert trace.links == ("a", "b")
    assert trace.demand_mbps.tolist() == [[1, 5], [2, 6], [3, 7]]
    assert trace.demand_mbps.dtype == np.float64
    assert trace.demand_mbps.flags.c_contiguous
    assert not trace.demand_mbps.flags.writeable
    assert (trace.tick_s, trace.starts, trace.repairs) == (300, None, ())
    assert trace.digest == sha256(GOOD.encode()).hexdigest()
    assert trace.origin == "a.csv"


def test_without_a_link_column_there_is_one_link(folder):
    trace = folder.read("time,internet\n0,1\n300,2\n")
    assert trace.links == ("link-1",)
    assert trace.demand_mbps.tolist() == [[1], [2]]


def test_links_are_in_natural_order_whatever_the_order_of_rows(folder):
    text = "time,link,internet\n" + "".join(
        f"{time},link-{k},{k}\n" for time in (0, 300) for k in (10, 2, 1)
    )
    trace = folder.read(text)
    assert trace.links == ("link-1", "link-2", "link-10")
    assert trace.demand_mbps.tolist() == [[1, 2, 10], [1, 2, 10]]


def test_rows_by_time_by_link_and_shuffled_read_the_same(folder):
    rng = np.random.default_rng(1)
    rows = [f"{300 * t},link-{k},{100 * t + k}" for t in range(6) for k in range(12)]
    by_time = folder.read("time,link,internet\n" + "\n".join(rows))
    by_link = sorted(rows, key=lambda row: (row.split(",")[1], int(row.split(",")[0])))
    assert (
        folder.read("time,link,internet\n" + "\n".join(by_link)).demand_mbps.tolist()
        == by_time.demand_mbps.tolist()
    )
    shuffled = folder.read("time,link,internet\n" + "\n".join(rng.permutation(rows)))
    assert shuffled.demand_mbps.tolist() == by_time.demand_mbps.tolist()
    assert shuffled.links == by_time.links == tuple(f"link-{k}" for k in range(12))
    assert shuffled.repairs == ("rows were out of order in time and were sorted",)


def test_other_kpis_are_read_and_other_columns_ignored(folder):
    trace = folder.read("time,sessions,note,internet,vpn\n0,1,x,2,3\n300,4,nan,5,6\n")
    assert {name: values.ravel().tolist() for name, values in trace.kpis.items()} == {
        "internet": [2, 5],
        "sessions": [1, 4],
        "vpn": [3, 6],
    }


def test_units_convert_traffic_and_leave_counts_alone(folder):
    text = "time,internet,downstream,sessions,vpn\n0,1000,2000,3,4\n300,1000,2000,3,4\n"
    trace = folder.read(text, unit="kbit/s")
    assert {name: values[0, 0] for name, values in trace.kpis.items()} == {
        "internet": 1,
        "downstream": 2,
        "sessions": 3,
        "vpn": 4,
    }


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_separators_line_ends_and_byte_order_marks_do_not_matter(folder, separator, end, mark):
    text = GOOD.replace(",", separator).replace("\n", end)
    assert folder.read(mark + text.encode()).demand_mbps.tolist() == [[1, 5], [2, 6], [3, 7]]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed_files_are_read_whatever_their_name(folder, pack):
    for name in ("a.csv", "a.csv.gz", "a.csv.bz2"):
        assert folder.read(pack(GOOD.encode()), name).links == ("a", "b")


def test_quotes_blanks_and_float_times_are_read(folder):
    trace = folder.read('time ,"link",internet\n0.0,"x, y" , 1 \n300.0,"x, y",+2e0\n')
    assert trace.links == ("x, y",)
    assert trace.demand_mbps.tolist() == [[1], [2]]


def test_numbers_that_arrow_does_not_read_are_read(folder):
    trace = folder.read("time,internet\n0,+1\n300,2.\n600,.5\n900,\n1200,4e0\n")
    assert trace.demand_mbps[:3].tolist() == [[1], [2], [0.5]]
    assert trace.demand_mbps[4] == 4


def test_columns_can_be_renamed_and_then_lose_their_own_meaning(folder):
    text = "stamp,sessions,internet\n0,1,9\n300,2,9\n"
    trace = folder.read(text, columns={"time": "stamp", "internet": "sessions"})
    assert {name: values.ravel().tolist() for name, values in trace.kpis.items()} == {
        "internet": [1, 2]
    }


def test_a_wide_file_has_a_link_per_column_in_its_order(folder):
    trace = folder.read("t,b,a\n0,1,2\n300,3,4\n", layout="wide", columns={"time": "t"})
    assert trace.links == ("b", "a")
    assert trace.demand_mbps.tolist() == [[1, 2], [3, 4]]


def test_a_path_may_be_absolute(folder, tmp_path):
    (tmp_path / "x.csv").write_text(GOOD)
    spec = DemandSpec(source="csv", path=str(tmp_path / "x.csv"))
    assert read(spec, Path("/nowhere"), 300, 1).samples == 3


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
def test_epochs_are_dates_in_any_unit(folder, per_second):
    times = [1_700_000_100 * per_second, 1_700_000_400 * per_second]
    trace = folder.read(f"time,internet\n{times[0]},1\n{times[1]},2\n")
    assert (trace.samples, trace.starts) == (2, datetime(2023, 11, 14, 22, 15, tzinfo=UTC))


def test_dates_give_the_start(folder):
    trace = folder.read("time,internet\n2004-11-19T09:30,1\n2004-11-19 09:35:00,2\n")
    assert trace.starts == datetime(2004, 11, 19, 9, 30)


def test_dates_with_an_offset_become_utc(folder):
    trace = folder.read("time,internet\n2004-11-19T09:30+01:00,1\n2004-11-19T08:35Z,2\n")
    assert trace.starts == datetime(2004, 11, 19, 8, 30, tzinfo=UTC)
    assert trace.demand_mbps.tolist() == [[1], [2]]


def test_compact_dates_are_read_too(folder):
    trace = folder.read("time,internet\n20041119T0930,1\n20041119T0935,2\n")
    assert trace.starts == datetime(2004, 11, 19, 9, 30)


def test_a_stated_start_belongs_to_a_trace_without_dates(folder):
    trace = folder.read("time,internet\n0,1\n300,2\n", starts="2004-11-19T09:30")
    assert trace.starts == datetime(2004, 11, 19, 9, 30)


def test_a_stated_start_may_repeat_the_dates_but_not_contradict_them(folder):
    text = "time,internet\n2004-11-19T09:30,1\n2004-11-19T09:35,2\n"
    assert folder.read(text, starts="2004-11-19T09:30").starts == datetime(2004, 11, 19, 9, 30)
    assert folder.refused(text, starts="2004-11-19T10:30") == [
        "demand.starts: is 2004-11-19T10:30:00, but the trace starts at 2004-11-19T09:30:00; "
        "remove 'starts': the trace has dates"
    ]


def test_real_traffic_reads_without_repairs():
    data = Path(__file__).parents[3] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the folder of real traffic is absent")
    spec = DemandSpec(source="csv", path="uk_backbone_5min.csv.gz")
    trace = read(spec, data, 300, 1)
    assert (trace.samples, trace.repairs) == (19_888, ())
    assert trace.demand_mbps[-3978:].mean() == pytest.approx(4360.6, abs=0.05)
