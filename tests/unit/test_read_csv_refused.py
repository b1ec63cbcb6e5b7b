"""Reading CSV: the exact message of what is refused."""

import bz2
import gzip
import lzma
import os
import time
import tracemalloc
from pathlib import Path

import pytest
from csv_folder import GOOD, CsvFolder

from twin.core.errors import InputError
from twin.demand.read import read
from twin.demand.spec import DemandSpec


@pytest.fixture
def folder(tmp_path):
    return CsvFolder(tmp_path)


EMPTY = "leave the cell empty where the sample is missing"
REFUSED = {
    "text that is no number": (
        "time,internet\n0,1\n300,abc\n600,2\n",
        f"a.csv:3: internet: 'abc' is not a number; write a number, or {EMPTY}",
    ),
    "inf": (
        "time,internet\r\n0,1\r\n300,-inf\r\n600,2\r\n",
        f"a.csv:3: internet: '-inf' is not a number; {EMPTY}",
    ),
    "a decimal comma": (
        "time;internet\n0;1\n300;1,5\n600;2\n",
        "a.csv:3: internet: '1,5' is not a number; if ',' is the decimal point, "
        "write \"decimal: ','\" in the scenario",
    ),
    "one digit of another script": (
        "time,internet\n0,1\n300,1\u0662.5\n600,2\n",
        "a.csv:3: internet: '1\u0662.5' is not a number; write it in the digits 0 to 9: 12.5",
    ),
    "digits of another script in a time": (
        "time,internet\n0,1\n\u0663\u0660\u0660,1\n600,2\n",
        "a.csv:3: time: '\u0663\u0660\u0660' is not a number; "
        "write all times as seconds, or all as ISO-8601",
    ),
    "a number without end": (
        "time,internet\n0,1\n300,1e999\n600,2\n",
        f"a.csv:3: internet: '1e999' is too large; {EMPTY}",
    ),
    "a negative value": (
        "time,internet\n0,1\n300,-3.5\n600,2\n",
        "a.csv:3: internet: -3.5 is negative; "
        "a KPI is never below 0: correct it, or leave the cell empty",
    ),
    "no time": (
        "time,internet\n0,1\n,1\n600,2\n",
        "a.csv:3: time: is empty; give every row its time",
    ),
    "no link": (
        "time,link,internet\n0,a,1\n300,,1\n600,a,2\n",
        "a.csv:3: link: is empty; name the link of every row",
    ),
    "a time that is none": (
        "time,internet\n0,1\nnoon,1\n600,2\n",
        "a.csv:3: time: 'noon' is not a number; write all times as seconds, or all as ISO-8601",
    ),
    "a date that is none": (
        "time,internet\n2004-11-19T09:30,1\n2004-13-19T09:35,1\n",
        "a.csv:3: time: '2004-13-19T09:35' is not a time; "
        "write all times as seconds, or all as ISO-8601, such as 2004-11-19T09:30",
    ),
    "offsets on some dates": (
        "time,internet\n2004-11-19T09:30,1\n2004-11-19T09:35Z,1\n",
        "a.csv:3: time: '2004-11-19T09:35Z' has an offset from UTC, unlike the times before it; "
        "give all times an offset, or none",
    ),
    "a time beyond all clocks": (
        "time,internet\n0,1\n1700000000000000,1\n",
        "a.csv:3: time: 1.7e+15 is no time in seconds; "
        "times are seconds from the first sample, or ISO-8601",
    ),
    "a wrong step": (
        "time,internet\n0,1\n300,1\n701,1\n900,1\n1200,1\n",
        "a.csv:4: time: wrong step: 701 s is not on the grid of 5min; "
        "correct the time, or remove it",
    ),
    "a wrong first time": (
        "time,internet\n117,1\n300,1\n600,1\n900,1\n1200,1\n",
        "a.csv:2: time: wrong step: 117 s is not on the grid of 5min; "
        "correct the time, or remove it",
    ),
    "a wrong date": (
        "time,internet\n2020-01-01T00:00,1\n2020-01-01T00:05,1\n2020-01-01T00:11,1\n"
        "2020-01-01T00:15,1\n2020-01-01T00:20,1\n",
        "a.csv:4: time: wrong step: 2020-01-01T00:11:00 is not on the grid of 5min; "
        "correct the time, or remove it",
    ),
    "a coarse step": (
        "time,internet\n0,1\n900,1\n1800,1\n",
        "a.csv:3: time: the step of 15min is coarser than the tick of 5min; "
        "write 'tick: 15min', or give a finer trace",
    ),
    "a step that does not divide": (
        "time,internet\n0,1\n40,1\n80,1\n",
        "a.csv:3: time: the step of 40s does not divide the tick of 5min; "
        "give a trace whose step divides 5min",
    ),
    "milliseconds": (
        "time,internet\n0,1\n300000,1\n600000,1\n",
        "a.csv:3: time: the step of 3d 11h 20min is coarser than the tick of 5min; "
        "the times look like milliseconds: write seconds",
    ),
    "a time far away": (
        "time,link,internet\n"
        + "".join(f"{300 * k},l{j},1\n" for k in range(3) for j in range(9))
        + "1700000100,l0,1\n",
        "a.csv:29: time: 1700000100 s is far from the other times; correct the time, or remove it",
    ),
    "the last minute of the last year": (
        "time,internet\n"
        + "".join(f"2026-10-20T00:{5 * k:02d},1\n" for k in range(12))
        + "9999-12-31T23:59:45,1\n",
        "a.csv:14: time: 253402300800 s after 1970-01-01T00:00:00 is far from the other times; "
        "correct the time, or remove it",
    ),
    "conflicting rows": (
        "time,internet\n0,1\n300,5\n600,1\n300,7\n",
        "a.csv:5: internet: 7, but 5 in line 3 for the same time and link; "
        "keep one of the two rows",
    ),
    "a value and its absence": (
        "time,internet\n0,1\n300,5\n300,\n",
        "a.csv:4: internet: empty, but 5 in line 3 for the same time and link; "
        "keep one of the two rows",
    ),
    "one sample": (
        "time,internet\n0,1\n",
        "a.csv: no link has samples at two times, so there is no step; give at least two samples",
    ),
    "a link without values": (
        "time,link,internet\n0,a,1\n0,b,\n300,a,1\n300,b,\n",
        "a.csv: link 'b' has no value at all; remove it from the trace",
    ),
    "nothing": ("", "a.csv: is empty"),
    "blank lines only": ("\n \n", "a.csv: is empty"),
    "a header only": ("time,internet\n", "a.csv: has a header, but no samples"),
    "no header": (
        "0,1\n300,2\n",
        "a.csv:1: has no header: the first line holds values; "
        "write the names of the columns above it, such as 'time,link,internet'",
    ),
    "a long row": (
        "time,internet\n0,1\n300,2,3\n",
        "a.csv:3: has 3 cells, but the header has 2; "
        "quote a cell that holds the separator; write decimals with a point",
    ),
    "a short row": (
        "time,internet\n0,1\n\n300\n",
        "a.csv:4: has 1 cell, but the header has 2; "
        "leave a missing cell empty, but keep its separator",
    ),
    "a column twice": (
        "\ntime,internet,internet\n0,1,2\n300,2,3\n",
        "a.csv:2: two columns are named 'internet'",
    ),
    "no column for the demand": (
        "time,bps\n0,1\n300,2\n",
        "a.csv:1: no column 'internet' among 'time', 'bps'; "
        "rename one with 'columns: {internet: ...}' in the scenario, "
        "or write 'layout: wide' if its columns are links",
    ),
    "a column nearly named": (
        "Time,internet\n0,1\n300,2\n",
        "a.csv:1: no column 'time' among 'Time', 'internet'; "
        "did you mean 'Time'? rename one with 'columns: {time: ...}' in the scenario",
    ),
    "binary": (
        b"time,internet\n0,1\n\0\1\2\n",
        "a.csv:3: is not text; save it as CSV in UTF-8",
    ),
    "another encoding": (
        b"time,internet\n0,1\n300,\xe9\n",
        "a.csv:3: byte 0xe9 is not UTF-8 text; save the file in UTF-8, or "
        "state its encoding, such as 'encoding: cp1252'",
    ),
    "Parquet": (b"PAR1....", "a.csv: is a Parquet file; use 'source: parquet'"),
    "a zip archive": (b"PK\x03\x04...", "a.csv: is a zip archive; unpack it first"),
    "half a compressed file": (
        gzip.compress(GOOD.encode())[:-9],
        "a.csv: is a compressed file that is damaged or cut short; copy it again",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_line_and_remedy(folder, content, message):
    assert folder.refused(content) == [message]


def test_lines_are_right_in_a_compressed_file_with_blank_lines(folder):
    text = "\n\ntime,internet\n\n0,1\n\n\n300,x\n600,1\n"
    assert folder.refused(gzip.compress(text.encode()), "a.csv.gz") == [
        f"a.csv.gz:8: internet: 'x' is not a number; write a number, or {EMPTY}"
    ]


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_a_file_is_unpacked_no_further_than_stated(folder, pack):
    text = GOOD.encode() + b"\n" * 1_000
    assert folder.read(pack(text), max_bytes=len(text)).samples == 3
    assert folder.refused(pack(text), max_bytes=len(text) - 1) == [
        f"a.csv: holds more than {len(text) - 1} bytes once unpacked; "
        "raise 'demand.max_bytes' if it may"
    ]


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_what_is_packed_too_tightly_takes_no_memory_to_refuse(folder, pack):
    bomb = pack(GOOD.encode() + b"\n" * 100_000_000)
    tracemalloc.start()
    try:
        assert "bytes once unpacked" in folder.refused(bomb, max_bytes=1_000_000)[0]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_gzip_file_may_have_many_members_with_zeros_between(folder):
    rows = GOOD.encode().splitlines(keepends=True)
    assert folder.read(b"\0\0".join(map(gzip.compress, rows)) + b"\0" * 600).samples == 3
    assert "damaged or cut short" in folder.refused(gzip.compress(GOOD.encode()) + b"x")[0]


def test_a_large_file_and_many_values_are_refused_before_they_are_read(folder):
    assert folder.refused(GOOD, max_bytes=20) == [
        "a.csv: holds 63 bytes, more than 20; raise 'demand.max_bytes' if it may"
    ]
    assert folder.read(GOOD, max_values=18).samples == 3
    assert folder.refused(GOOD, max_values=17) == [
        "a.csv: holds 6 rows of 3 columns, more than 17 values; raise 'demand.max_values' if it may"
    ]


def test_a_wide_file_takes_time_in_proportion_to_its_columns(folder):
    links = [f"l{k}" for k in range(40_000)]
    rows = [",".join(["time", *links]), *(f"{300 * k}{',1' * len(links)}" for k in range(2))]
    since = time.perf_counter()
    assert folder.read("\n".join(rows), layout="wide").links == tuple(links)
    assert time.perf_counter() - since < 8


def test_an_hour_that_a_clock_showed_twice_needs_an_offset_from_utc(folder):
    hours = [(hour, minute) for hour in ("02", "02", "03") for minute in ("00", "05")]
    rows = [f"2025-10-26T{hour}:{minute},{k}\n" for k, (hour, minute) in enumerate(hours)]
    assert folder.refused("time,internet\n" + "".join(rows))[0] == (
        "a.csv:4: internet: 2, but 0 in line 2 for the same time and link; if the clock was set "
        "back here, write times with their offset from UTC; if not, keep one of the two rows"
    )


def test_a_pipe_is_no_trace(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError) as caught:
        read(DemandSpec(source="csv", path="pipe.csv"), tmp_path, 300, 1)
    assert str(caught.value) == (
        "demand.path: 'pipe.csv' is a pipe or a device; write it to a file first"
    )


def test_a_quote_that_never_closes_is_refused(folder):
    text = 'time,internet\n0,1\n300,"2\n' + "600,3\n" * 30_000
    assert folder.refused(text)[0].startswith("a.csv:")
    assert folder.refused('time,"' + "x" * 200_000 + "\n0,1\n") == [
        "a.csv:1: cannot be split into cells: field larger than field limit (131072); "
        "close every quote"
    ]


def test_five_bad_cells_are_shown_and_the_rest_counted(folder):
    text = "time,internet\n" + "".join(f"{300 * k},x\n" for k in range(8))
    problems = folder.refused(text)
    assert [problem.split(" ")[0] for problem in problems[:5]] == [
        f"a.csv:{k}:" for k in range(2, 7)
    ]
    assert problems[5:] == ["a.csv: internet: and 3 more"]


def test_at_most_twenty_problems_are_reported(folder):
    names = [f"l{k}" for k in range(30)]
    text = (
        ",".join(["time", *names])
        + "\n"
        + "".join(",".join([str(time), *["x"] * 30]) + "\n" for time in (0, 300))
    )
    assert len(folder.refused(text, layout="wide")) == 20


def test_seven_ragged_rows_are_shown_five_and_counted_two(folder):
    problems = folder.refused("time,internet\n" + "1,2,3\n" * 7)
    assert len(problems) == 6
    assert problems[5] == "a.csv: and 2 more"


def test_a_renamed_column_that_is_not_there_is_named_in_the_scenario(folder):
    assert folder.refused("time,bps\n0,1\n300,2\n", columns={"internet": "bsp"}) == [
        "demand.columns.internet: no column 'bsp'; did you mean 'bps'? the trace has 'time', 'bps'"
    ]
    assert folder.refused("t,a\n0,1\n300,2\n", layout="wide", columns={"time": "when"}) == [
        "demand.columns.time: no column 'when'; the trace has 't', 'a'"
    ]


def test_a_wide_file_says_what_it_cannot_do(folder):
    wide = "time,a,b\n0,1,2\n300,3,x\n"
    assert folder.refused(wide, layout="wide") == [
        f"a.csv:3: b: 'x' is not a number; write a number, or {EMPTY}"
    ]
    assert folder.refused(wide, layout="wide", columns={"internet": "a"}) == [
        "demand.columns.internet: cannot be renamed where each column is a link; "
        "only 'time' can; or write 'layout: long'"
    ]
    assert folder.refused(GOOD, layout="wide") == [
        "demand.layout: 'wide' means a column per link, "
        "but the trace has columns 'link' and 'internet'; write 'layout: long'"
    ]
    assert folder.refused("time,a,\n0,1,2\n300,3,4\n", layout="wide") == [
        "a.csv:1: column 3 has no name; name each link in the header"
    ]
    assert folder.refused("time\n0\n300\n", layout="wide") == [
        "a.csv:1: has no column beside the time"
    ]
    assert folder.refused("time,a,b\n0,1,2\n300,3,4\n300,3,5\n", layout="wide") == [
        "a.csv:4: b: 5, but 4 in line 3 for the same time and link; keep one of the two rows"
    ]
    assert folder.refused(
        "time,a,b\n0,1,2\n300,3,4\n701,3,5\n900,1,2\n1200,2,3\n", layout="wide"
    ) == [
        "a.csv:4: time: wrong step: 701 s is not on the grid of 5min; "
        "correct the time, or remove it"
    ]


def test_a_missing_file_is_a_problem_of_the_scenario(folder, tmp_path):
    (tmp_path / "trace.csv").write_text(GOOD)

    def refused(source: str, path: str) -> str:
        with pytest.raises(InputError) as caught:
            read(DemandSpec.model_validate({"source": source, "path": path}), tmp_path, 300, 1)
        (problem,) = caught.value.problems
        assert problem.file is None
        return str(problem)

    assert refused("csv", "trce.csv") == (
        "demand.path: no such file: 'trce.csv'; did you mean 'trace.csv'?"
    )
    assert refused("csv", "nowhere/a.csv") == "demand.path: no such file: 'nowhere/a.csv'"
    assert refused("csv", ".") == (
        "demand.path: '.' is a folder; name a file in it, or use 'source: zenodo'"
    )
    assert refused("zenodo", "trace.csv") == (
        "demand.path: 'trace.csv' is not a folder; name the unpacked dataset, or use 'source: csv'"
    )


def test_an_unreadable_file_is_refused(folder, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert folder.refused(GOOD) == [
        "a.csv: cannot be read: Permission denied; check its permissions"
    ]


def test_too_short_a_trace_for_the_tick_is_refused(folder):
    text = "time,internet\n" + "".join(f"{60 * k},1\n" for k in range(7))
    assert folder.refused(text) == [
        "demand: the trace covers 1 interval of 5min; at least 2 are needed"
    ]
