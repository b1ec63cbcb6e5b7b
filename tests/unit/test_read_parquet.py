"""Reading Parquet: types, layouts and the exact message of what is refused."""

import os
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from twin.core.errors import InputError
from twin.demand.read import read
from twin.demand.spec import DemandSpec

TIME = [0, 300, 600]
VALUES = [1.0, 2.0, 3.0]
EMPTY = "leave the cell empty where the sample is missing"


class Folder:
    """A scenario's folder: writes a table, reads it as a trace, tells what was refused."""

    def __init__(self, path):
        self.path = path
        self.file = path / "a.parquet"

    def read(self, columns, tick=300, groups=None, **demand):
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        parquet.write_table(table, self.file, row_group_size=groups)
        return self.again(tick, **demand)

    def again(self, tick=300, **demand):
        spec = DemandSpec.model_validate({"source": "parquet", "path": "a.parquet"} | demand)
        return read(spec, self.path, tick, 1)

    def refused(self, columns=None, **demand):
        with pytest.raises(InputError) as caught:
            self.again(**demand) if columns is None else self.read(columns, **demand)
        return [
            str(problem).replace(f"{self.path}{os.sep}", "") for problem in caught.value.problems
        ]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_a_long_table_becomes_samples_by_links(folder):
    trace = folder.read({"time": TIME * 2, "link": ["b"] * 3 + ["a"] * 3, "internet": range(6)})
    assert trace.links == ("a", "b")
    assert trace.demand_mbps.tolist() == [[3, 0], [4, 1], [5, 2]]
    assert trace.demand_mbps.flags.c_contiguous
    assert trace.digest == sha256(folder.file.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string()])
def test_times_of_any_type_are_read(folder, kind):
    time = pa.array(TIME).cast(kind)
    assert folder.read({"time": time, "internet": VALUES}).demand_mbps.ravel().tolist() == VALUES


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_give_the_start(folder, unit):
    moments = [datetime(2004, 11, 19, 9, minute) for minute in (30, 35, 40)]
    trace = folder.read({"time": pa.array(moments, pa.timestamp(unit)), "internet": VALUES})
    assert trace.starts == datetime(2004, 11, 19, 9, 30)
    zoned = pa.array(moments, pa.timestamp(unit, "Europe/Rome"))
    trace = folder.read({"time": zoned, "internet": VALUES})
    assert trace.starts == datetime(2004, 11, 19, 9, 30, tzinfo=UTC)


def test_durations_count_from_the_first(folder):
    time = pa.array(TIME, pa.duration("s"))
    trace = folder.read({"time": time, "internet": VALUES})
    assert (trace.samples, trace.starts) == (3, None)


@pytest.mark.parametrize(
    "kind", [pa.int16(), pa.float32(), pa.decimal128(25, 2), pa.string(), pa.large_string()]
)
def test_values_of_any_type_are_read(folder, kind):
    values = pa.array([1, 2, 3]).cast(kind)
    assert folder.read({"time": TIME, "internet": values}).demand_mbps.ravel().tolist() == VALUES


def test_links_may_be_text_codes_or_integers_in_many_row_groups(folder):
    links = ["2", "10", "1"] * 4
    time = np.repeat([0, 300, 600, 900], 3)
    for column in (pa.array(links), pa.array(links).dictionary_encode(), pa.array(map(int, links))):
        trace = folder.read({"time": time, "link": column, "internet": range(12)}, groups=5)
        assert trace.links == ("1", "2", "10")
        assert trace.demand_mbps[:2].tolist() == [[2, 0, 1], [5, 3, 4]]


def test_rows_by_time_by_link_and_shuffled_read_the_same(folder):
    rng = np.random.default_rng(3)
    time, code = np.repeat(np.arange(50) * 300, 7), np.tile(np.arange(7), 50)
    values = rng.gamma(3, 10, 350)
    expected = values.reshape(50, 7)
    names = np.array([f"l{k}" for k in range(7)])
    by_link = np.lexsort((time, code))
    for order in (np.arange(350), by_link, rng.permutation(350)):
        table = {"time": time[order], "link": names[code[order]], "internet": values[order]}
        assert np.array_equal(folder.read(table).demand_mbps, expected)


def test_times_without_any_row_become_missing_samples(folder):
    time = np.repeat([0, 300, 1200], 2)
    trace = folder.read({"time": time, "link": ["a", "b"] * 3, "internet": [1, 1, 2, 2, 5, 8]})
    assert trace.demand_mbps.tolist() == [[1, 1], [2, 2], [3, 4], [4, 6], [5, 8]]
    assert trace.repairs == ("2 gaps of up to 1h (4 samples) interpolated",)


def test_null_and_nan_are_missing_samples(folder):
    time = [300 * k for k in range(5)]
    trace = folder.read({"time": time, "internet": [1.0, None, 3.0, float("nan"), 5.0]})
    assert trace.demand_mbps.ravel().tolist() == [1, 2, 3, 4, 5]


def test_a_wide_table_has_a_link_per_column(folder):
    trace = folder.read({"time": TIME, "b": [1, 2, 3], "a": [4, 5, 6]}, layout="wide")
    assert trace.links == ("b", "a")
    assert trace.demand_mbps.tolist() == [[1, 4], [2, 5], [3, 6]]


REFUSED = {
    "infinite": (
        {"time": TIME, "internet": [1.0, float("inf"), 2.0]},
        f"a.parquet: row 2, internet: inf is not finite; {EMPTY}",
    ),
    "negative": (
        {"time": TIME, "internet": [1.0, -2.0, 2.0]},
        "a.parquet: row 2, internet: -2 is negative; "
        "a KPI is never below 0: correct it, or leave the cell empty",
    ),
    "text": (
        {"time": TIME, "internet": ["1", "x", ""]},
        f"a.parquet: row 2, internet: 'x' is not a number; write a number, or {EMPTY}",
    ),
    "truth": (
        {"time": TIME, "internet": [True, False, True]},
        "a.parquet: internet: holds bool, not numbers; store it as double",
    ),
    "links as numbers with a point": (
        {"time": TIME, "link": [1.0, 1.0, 1.0], "internet": VALUES},
        "a.parquet: link: holds double, not names; store it as text",
    ),
    "no link": (
        {"time": TIME, "link": ["a", None, "a"], "internet": VALUES},
        "a.parquet: row 2, link: is empty; name the link of every row",
    ),
    "no time": (
        {"time": [0, None, 600], "internet": VALUES},
        "a.parquet: row 2, time: is empty; give every row its time",
    ),
    "an endless time": (
        {"time": [0.0, float("nan"), 600.0], "internet": VALUES},
        "a.parquet: row 2, time: is no time; write all times as seconds, or all as ISO-8601",
    ),
    "nanoseconds": (
        {"time": [0, 300, 10**18], "internet": VALUES},
        "a.parquet: row 3, time: 1e+18 is no time in seconds; "
        "times are seconds from the first sample, or ISO-8601",
    ),
    "a date beyond the calendar": (
        {"time": pa.array([0, 300, 4 * 10**17], pa.timestamp("us")), "internet": VALUES},
        "a.parquet: row 3, time: is a time after the year 9999 or before 1; "
        "check the unit of the column",
    ),
    "conflicting rows": (
        {"time": [0, 300, 300], "internet": VALUES},
        "a.parquet: row 3, internet: 3, but 2 in row 2 for the same time and link; "
        "keep one of the two rows",
    ),
    "a wrong step": (
        {"time": [0, 300, 600, 1001, 1200], "internet": [1.0] * 5},
        "a.parquet: row 4, time: wrong step: 1001 s is not on the grid of 5min; "
        "correct the time, or remove it",
    ),
    "no rows": (
        {"time": pa.array([], pa.int64()), "internet": pa.array([], pa.float64())},
        "a.parquet: has columns, but no samples",
    ),
    "no values": (
        {"time": TIME, "internet": pa.nulls(3)},
        "a.parquet: link 'link-1' has no value at all; remove it from the trace",
    ),
    "no column for the demand": (
        {"time": TIME, "bps": VALUES},
        "a.parquet: no column 'internet' among 'time', 'bps'; "
        "rename one with 'columns: {internet: ...}' in the scenario, "
        "or write 'layout: wide' if its columns are links",
    ),
    "a column twice": (
        pa.table([TIME, VALUES, VALUES], ["time", "internet", "internet"]),
        "a.parquet: two columns are named 'internet'",
    ),
}


@pytest.mark.parametrize(("table", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_row_and_remedy(folder, table, message):
    assert folder.refused(table) == [message]


def test_a_file_that_is_not_parquet_says_so(folder):
    for content, message in (
        (b"time,internet\n0,1\n", "a.parquet: is not a Parquet file; use 'source: csv'"),
        (b"\x1f\x8b\x08\0", "a.parquet: is not a Parquet file; use 'source: csv'"),
        (b"\x89HDF....", "a.parquet: is not a Parquet file"),
        (b"", "a.parquet: is empty"),
    ):
        folder.file.write_bytes(content)
        assert folder.refused() == [message]


def test_a_file_cut_short_says_so(folder):
    folder.read({"time": TIME, "internet": VALUES})
    whole = folder.file.read_bytes()
    damaged = "a.parquet: is a Parquet file that is damaged or cut short; write or copy it again"
    for content in (whole[:-20], whole[: len(whole) // 2], whole[:4] + b"\xff" * 60 + whole[64:]):
        folder.file.write_bytes(content)
        assert folder.refused() == [damaged]


def test_more_rows_than_may_be_read_are_refused_by_the_metadata(folder):
    rows = 1_000_000
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([1.0]))
    table = pa.table({"time": np.zeros(rows, np.int64), "internet": same.cast(pa.float64())})
    before = pa.total_allocated_bytes()
    assert folder.refused(table, max_values=1_999_999) == [
        "a.parquet: holds 1000000 rows of 2 columns, more than 1999999 values; "
        "raise 'demand.max_values' if it may"
    ]
    assert folder.refused(max_bytes=3)[0].endswith("raise 'demand.max_bytes' if it may")
    assert pa.total_allocated_bytes() - before < rows


@pytest.mark.parametrize("name", ["link", "time", "internet"])
def test_text_that_is_not_utf_8_is_told_with_its_row(folder, name):
    column = pa.array([b"a", b"a\xff", b"a"]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, column.buffers())
    columns = {"time": TIME, "link": ["a"] * 3, "internet": VALUES} | {name: text}
    assert folder.refused(columns) == [
        f"a.parquet: row 2, {name}: is not text in UTF-8; write the file again in UTF-8"
    ]
