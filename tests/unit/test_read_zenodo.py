"""Reading the public dataset's folder, and the synthetic source beside it."""

import os
import re

import numpy as np
import pytest

from twin.core.errors import InputError
from twin.demand.read import read
from twin.demand.spec import DemandSpec

INFO = "s1 internet\ns2 internet\ns3 sessions\ns4 sessions\ns5 sessions\ns6 vpn\ns7 downstream\n"


def series(*values, first=0, step=300):
    return "".join(f"{first + step * k}   {value}\n" for k, value in enumerate(values))


FILES = {
    "data_series_info.txt": INFO,
    "data_series/s1.txt": series(1, 2, 3),
    "data_series/s2.txt": series(4, 5, 6),
    "data_series/s3.txt": series(10, 20, 30),
    "data_series/s4.txt": series(40, 50, 60),
    "data_series/s6.txt": series(7, 7, 7),
}


class Folder:
    """A scenario's folder that holds a small dataset."""

    def __init__(self, path):
        self.path = path

    def make(self, changes=None, below="."):
        for name, text in (FILES | (changes or {})).items():
            if text is not None:
                file = self.path / "d" / below / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)

    def read(self, tick=300, **demand):
        spec = DemandSpec.model_validate({"source": "zenodo", "path": "d"} | demand)
        return read(spec, self.path, tick, 1)

    def refused(self, **demand):
        with pytest.raises(InputError) as caught:
            self.read(**demand)
        return [
            str(problem).replace(f"{self.path}{os.sep}", "") for problem in caught.value.problems
        ]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_the_kth_internet_series_makes_a_link_with_the_kth_of_each_other_kind(folder):
    folder.make()
    trace = folder.read()
    assert trace.links == ("s1", "s2")
    assert {name: values.tolist() for name, values in trace.kpis.items()} == {
        "internet": [[1, 4], [2, 5], [3, 6]],
        "sessions": [[10, 40], [20, 50], [30, 60]],
    }
    assert (trace.origin, trace.starts, trace.repairs) == ("d", None, ())


def test_an_internet_series_without_a_file_is_left_out_with_its_companions(folder):
    folder.make({"data_series/s1.txt": None, "data_series/s3.txt": None})
    trace = folder.read()
    assert trace.links == ("s2",)
    assert {name: values.ravel().tolist() for name, values in trace.kpis.items()} == {
        "internet": [4, 5, 6],
        "sessions": [40, 50, 60],
    }


@pytest.mark.parametrize("below", [".", "x", "x/y"])
def test_the_folder_may_be_nested_twice(folder, below):
    folder.make(below=below)
    assert folder.read().links == ("s1", "s2")


def test_files_may_have_the_ending_of_the_description(folder):
    folder.make(dict.fromkeys(FILES) | {f"{name}.ok": text for name, text in FILES.items()})
    assert folder.read().links == ("s1", "s2")


def test_series_of_different_lengths_share_one_grid(folder):
    folder.make({"data_series/s2.txt": series(4, 5), "data_series/s3.txt": series(1, 2, first=300)})
    trace = folder.read()
    assert np.array_equal(trace.demand_mbps, [[1, 4], [2, 5], [3, np.nan]], equal_nan=True)
    assert np.array_equal(trace.kpis["sessions"][:, 0], [np.nan, 1, 2], equal_nan=True)
    assert trace.repairs == ("1 gap at an end of the trace (1 sample) left missing",)


def test_the_digest_covers_names_and_bytes_of_the_files_used(folder):
    folder.make()
    first = folder.read().digest
    folder.make({"data_series/s6.txt": series(9)})
    assert folder.read().digest == first
    folder.make({"data_series/s4.txt": series(40, 50, 61)})
    assert folder.read().digest != first


def test_unit_start_and_tick_apply(folder):
    folder.make({f"data_series/s{k}.txt": series(*[2000] * 6) for k in (1, 2)})
    trace = folder.read(tick=900, unit="kbit/s", starts="2020-01-01")
    assert trace.demand_mbps.tolist() == [[2, 2], [2, 2]]
    assert str(trace.starts) == "2020-01-01 00:00:00"


REFUSED = {
    "a bad value": (
        {"data_series/s2.txt": "0 1\n\n300 x\n600 2\n"},
        "d/data_series/s2.txt:3: internet: 'x' is not a number; "
        "write a number, or leave the cell empty where the sample is missing",
    ),
    "a bad line": (
        {"data_series/s1.txt": "0 1\n300 2 3\n"},
        "d/data_series/s1.txt:2: is not a time and a value; write 'seconds value'",
    ),
    "an empty file": (
        {"data_series/s2.txt": ""},
        "d/data_series/s2.txt: is empty; unpack the dataset again",
    ),
    "a conflict": (
        {"data_series/s2.txt": "0 1\n300 2\n300 3\n"},
        "d/data_series/s2.txt:3: internet: 3, but 2 in line 2 for the same time and link; "
        "keep one of the two rows",
    ),
    "other times": (
        {
            "data_series/s3.txt": series(1, 2, step=100),
            "data_series/s4.txt": series(1, 2, step=100),
        },
        "demand.path: the 'sessions' series have other times than the 'internet' series; "
        "unpack the dataset again",
    ),
    "no internet series": (
        {"data_series_info.txt": "s3 sessions\n"},
        "d/data_series_info.txt: names no internet series that is in 'data_series'; "
        "it should hold lines like 's1 internet', and 'data_series' files like 's1.txt'",
    ),
    "no info": (
        {"data_series_info.txt": None},
        "demand.path: 'd' holds no 'data_series_info.txt'; "
        "name the folder with that and 'data_series', as 'twin data fetch' makes it",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_file_and_remedy(folder, changes, message):
    folder.make(changes)
    assert folder.refused() == [message]


def test_a_folder_that_is_not_there_is_a_problem_of_the_scenario(folder, tmp_path):
    (tmp_path / "dataset").mkdir()
    assert folder.refused(path="datset") == [
        "demand.path: no such folder: 'datset'; did you mean 'dataset'?"
    ]


def test_columns_and_layout_have_no_meaning_here(folder):
    folder.make()
    assert folder.refused(columns={"time": "t"}) == [
        "demand.columns: has no meaning for 'source: zenodo', whose files have no header; "
        "remove 'columns'"
    ]
    assert folder.refused(layout="wide") == [
        "demand.layout: has no meaning for 'source: zenodo', whose files have no header; "
        "remove 'layout'"
    ]


def test_the_synthetic_source_is_named_repaired_and_averaged(tmp_path, monkeypatch):
    from twin.demand import synthetic

    def generate(seed, facilities, samples):
        assert (seed, facilities, samples) == (7, 2, 6)
        values = np.tile(np.arange(6.0)[:, None], (1, 2))
        values[2, 0] = np.nan
        return {"internet": values, "vpn": np.ones((6, 2))}

    monkeypatch.setattr(synthetic, "generate", generate)
    spec = DemandSpec.model_validate({"facilities": 2, "length": "30min"})
    trace = read(spec, tmp_path, 600, 7)
    assert trace.links == ("link-1", "link-2")
    assert trace.demand_mbps.tolist() == [[0.5, 0.5], [2.5, 2.5], [4.5, 4.5]]
    assert trace.origin == "synthetic, seed 7"
    assert trace.repairs == (
        "1 gap of up to 1h (1 sample) interpolated",
        "samples of 5min averaged to 10min",
    )
    assert len(trace.digest) == 64


def test_the_synthetic_source_refuses_a_finer_tick_and_too_short_a_length(tmp_path):
    for tick, length, message in (
        (60, "1d", "tick: 1min is no multiple of the synthetic source's step; "
                   "write a multiple of 5min"),
        (300, "5min", "demand.length: 5min holds fewer than 2 samples of 5min; make it longer"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            read(DemandSpec.model_validate({"length": length}), tmp_path, tick, 1)
        assert str(caught.value) == message


def test_a_dataset_larger_than_stated_is_refused(folder):
    folder.make()
    assert re.fullmatch(
        r"d: holds \d+ bytes, more than 40; raise .*", folder.refused(max_bytes=40)[0]
    )
