"""What reading repairs, and what it tells about it."""

import numpy as np
import pytest

from twin.demand.read import read
from twin.demand.spec import DemandSpec

NAN = float("nan")


@pytest.fixture
def trace(tmp_path):
    def make(rows, tick=300, header="time,internet"):
        text = header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
        (tmp_path / "a.csv").write_text(text)
        return read(DemandSpec(source="csv", path="a.csv"), tmp_path, tick, 1)

    return make


def values(trace):
    return [None if np.isnan(value) else value for value in trace.demand_mbps.ravel().tolist()]


def test_exact_duplicates_are_dropped_and_counted(trace):
    read_back = trace([(0, 1), (300, 2), (300, 2), (300, 2.0), (600, 3), (0, 1)])
    assert values(read_back) == [1, 2, 3]
    assert read_back.repairs == (
        "rows were out of order in time and were sorted",
        "3 duplicate rows dropped",
    )


def test_one_duplicate_is_one_row(trace):
    assert trace([(0, 1), (300, ""), (300, ""), (600, 3)]).repairs == (
        "1 duplicate row dropped",
        "1 gap of up to 1h (1 sample) interpolated",
    )


def test_disorder_is_sorted_and_told(trace):
    read_back = trace([(600, 3), (0, 1), (300, 2)])
    assert values(read_back) == [1, 2, 3]
    assert read_back.repairs == ("rows were out of order in time and were sorted",)


def test_links_one_after_the_other_are_no_disorder(trace):
    rows = [(0, "a", 1), (300, "a", 2), (0, "b", 3), (300, "b", 4), (600, "b", 5), (600, "a", 6)]
    assert trace(rows, header="time,link,internet").repairs == ()


def test_a_gap_of_an_hour_is_interpolated_and_a_longer_one_is_not(trace):
    hour = [(300 * k, k) for k in (0, 13, 14, 28)]
    read_back = trace(hour)
    assert values(read_back)[:15] == pytest.approx(range(15))
    assert values(read_back)[15:28] == [None] * 13
    assert values(read_back)[28] == 28
    assert read_back.repairs == (
        "1 gap of up to 1h (12 samples) interpolated",
        "1 gap longer than 1h (13 samples) left missing",
    )


def test_a_gap_is_measured_in_time_at_the_step_of_the_file(trace):
    rows = [(60 * k, k) for k in (*range(10), *range(70, 80), *range(141, 150))]
    read_back = trace(rows, tick=60)
    assert read_back.repairs == (
        "1 gap of up to 1h (60 samples) interpolated",
        "1 gap longer than 1h (61 samples) left missing",
    )


def test_what_is_missing_at_an_end_stays_missing(trace):
    rows = [(300 * k, "a", 1) for k in range(5)] + [(300 * k, "b", 2) for k in (1, 3)]
    read_back = trace(rows, header="time,link,internet")
    assert np.array_equal(
        read_back.demand_mbps,
        [[1, NAN], [1, 2], [1, 2], [1, 2], [1, NAN]],
        equal_nan=True,
    )
    assert read_back.repairs == (
        "1 gap of up to 1h (1 sample) interpolated",
        "2 gaps at an end of the trace (2 samples) left missing",
    )


def test_gaps_are_filled_and_told_per_kpi(trace):
    rows = [(0, 1, 4), (300, 2, ""), (600, 3, 8)]
    read_back = trace(rows, header="time,internet,vpn")
    assert read_back.kpis["vpn"].ravel().tolist() == [4, 6, 8]
    assert read_back.repairs == ("vpn: 1 gap of up to 1h (1 sample) interpolated",)


def test_many_random_gaps_are_filled_as_numpy_interpolates(trace):
    rng = np.random.default_rng(5)
    full = rng.gamma(3, 10, (400, 3))
    kept = rng.random((400, 3)) > 0.4
    kept[[0, -1]] = True
    rows = [(300 * t, f"l{k}", full[t, k]) for t in range(400) for k in range(3) if kept[t, k]]
    read_back = trace(rows, header="time,link,internet")
    for k in range(3):
        known = np.flatnonzero(kept[:, k])
        expected = np.interp(np.arange(400), known, full[known, k])
        np.testing.assert_allclose(read_back.demand_mbps[:, k], expected, rtol=1e-12)


def test_finer_samples_are_averaged_from_the_first_on(trace):
    read_back = trace([(100 + 60 * k, k) for k in range(12)])
    assert values(read_back) == [2, 7]
    assert read_back.tick_s == 300
    assert read_back.repairs == (
        "samples of 1min averaged to 5min",
        "the incomplete last interval (2 samples) dropped",
    )


def test_an_interval_that_lacks_a_fine_sample_is_missing(trace):
    rows = [(60 * k, k) for k in range(15)] + [(60 * k, k) for k in range(80, 90)]
    read_back = trace(rows)
    assert values(read_back) == [2, 7, 12, *[None] * 13, 82, 87]


def test_steps_below_a_second_are_exact(trace):
    read_back = trace([(0.1 * k, 1) for k in range(30)], tick=1)
    assert (read_back.samples, read_back.repairs[1:]) == (3, ())
