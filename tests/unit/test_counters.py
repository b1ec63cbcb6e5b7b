"""Counters become rates: against the truth, with wraps, resets, gaps and uneven polls."""

from itertools import pairwise

import numpy as np
import pytest
from csv_folder import CsvFolder

import twin

OCTETS = 8e-6
"""Mbit/s in an octet a second."""
STEP = 300


@pytest.fixture
def folder(tmp_path):
    return CsvFolder(tmp_path)


def _octets(rng, samples, mbps):
    """Return whole octets of each step of a link of about `mbps`."""
    return np.rint(rng.uniform(0.2, 1.8, samples) * mbps / OCTETS * STEP).astype(np.uint64)


def _readings(octets, start=0):
    """Return the true counter at each step, from before the first to after the last."""
    return np.cumsum(np.concatenate([[np.uint64(0)], octets]), dtype=np.uint64) + np.uint64(start)


def _long(times, counts):
    return "time,internet\n" + "".join(
        f"{t},{c}\n" for t, c in zip(times, counts, strict=True) if c is not None
    )


@pytest.mark.parametrize(("bits", "start"), [(32, 2**32 - 10**6), (64, 2**64 - 10**10), (64, 7)])
def test_rates_are_those_of_the_truth_through_wraps(folder, bits, start):
    rng = np.random.default_rng(5)
    octets = _octets(rng, 500, 20 if bits == 32 else 40_000)
    counts = [
        int(c) % 2**bits for c in (int(start) + np.cumsum([0, *octets.tolist()], dtype=object))
    ]
    trace = folder.read(_long(STEP * np.arange(501), counts), kind="counter", bits=bits)
    assert trace.demand_mbps[:, 0] == pytest.approx(octets * OCTETS / STEP, rel=1e-9)
    falls = sum(after < before for before, after in pairwise(counts))
    assert (falls == 0) == (start == 7)
    assert f"{falls} wrap" in trace.repairs[0]
    assert "0 resets" in trace.repairs[0]


def test_a_reset_loses_its_interval_alone(folder):
    octets = _octets(np.random.default_rng(6), 60, 900)
    counts = _readings(octets, 10**15)
    counts[40:] -= counts[40] - np.uint64(12_345)
    trace = folder.read(_long(STEP * np.arange(61), counts), kind="counter")
    truth = octets * OCTETS / STEP
    others = np.arange(60) != 39
    assert trace.demand_mbps[others, 0] == pytest.approx(truth[others], rel=1e-9)
    # The interval of the reset is a gap of one sample: interpolated, and known once it is over.
    assert trace.demand_mbps[39, 0] == pytest.approx((truth[38] + truth[40]) / 2)
    assert trace.gaps["internet"].first.tolist() == [39]
    assert "0 wraps, 1 reset" in trace.repairs[0]


def test_a_fall_is_a_wrap_where_the_capacity_allows_it(folder, tmp_path):
    counts = [4_000_000_000 + 9_000_000 * k for k in range(30)]
    counts = [c if c < 4_100_000_000 else c - 4_100_000_000 for c in counts]
    (tmp_path / "a.csv").write_text(_long(STEP * np.arange(30), counts))
    demand = {"source": "csv", "path": str(tmp_path / "a.csv"), "kind": "counter"}
    for capacity, said in ((1, "0 wraps, 1 reset"), (10, "1 wrap, 0 resets")):
        links = {"link-1": {"capacity_mbps": capacity}}
        scenario = {"demand": demand, "links": links, "policies": ["static_p95"]}
        assert said in twin.Scenario.load(scenario).trace.repairs[0]


def test_uneven_polls_keep_what_was_counted(folder):
    rng = np.random.default_rng(7)
    times = np.concatenate([[0], np.sort(rng.choice(np.arange(1, 36_000), 119, False)), [36_000]])
    counts = np.cumsum(rng.integers(10**6, 10**9, 121))
    # The truth: between two readings the rate is its mean, each second of a step counts alike.
    seconds = np.repeat(np.diff(counts) / np.diff(times), np.diff(times))
    truth = seconds.reshape(-1, STEP).mean(axis=1) * OCTETS
    trace = folder.read(_long(times, counts), kind="counter")
    assert trace.demand_mbps[:, 0] == pytest.approx(truth, rel=1e-9)
    total = trace.demand_mbps.sum() * STEP / OCTETS
    assert total == pytest.approx(counts[-1] - counts[0], rel=1e-9)


def test_missed_polls_are_their_mean_and_known_with_the_next(folder):
    octets = _octets(np.random.default_rng(8), 40, 100)
    counts = [int(c) for c in _readings(octets)]
    counts[11] = counts[12] = None
    trace = folder.read(_long(STEP * np.arange(41), counts), kind="counter")
    truth = octets * OCTETS / STEP
    expected = np.where(np.isin(np.arange(40), [10, 11, 12]), truth[10:13].mean(), truth)
    assert trace.demand_mbps[:, 0] == pytest.approx(expected, rel=1e-9)
    gaps = trace.gaps["internet"]
    assert (gaps.first.tolist(), gaps.stop.tolist(), gaps.seen.tolist()) == ([10], [12], [12])
    assert np.isnan(trace.seen(12).demand_mbps[10:12]).all()


def test_hours_without_a_reading_are_missing(folder):
    octets = _octets(np.random.default_rng(9), 60, 100)
    counts = [int(c) for c in _readings(octets)]
    counts[20:34] = [None] * 14
    trace = folder.read(_long(STEP * np.arange(61), counts), kind="counter")
    assert np.flatnonzero(np.isnan(trace.demand_mbps[:, 0])).tolist() == list(range(19, 34))
    assert "1 span of more than 1h without a reading left missing" in trace.repairs


def test_several_links_each_have_their_counter(folder):
    rng = np.random.default_rng(10)
    a, b = _octets(rng, 50, 10), _octets(rng, 50, 5000)
    rows = zip(STEP * np.arange(51), _readings(a, 5), _readings(b, 2**60), strict=True)
    wide = "time,a,b\n" + "".join(f"{t},{x},{y}\n" for t, x, y in rows)
    trace = folder.read(wide, kind="counter", layout="wide")
    truth = np.stack([a, b], axis=1) * OCTETS / STEP
    assert trace.demand_mbps == pytest.approx(truth, rel=1e-9)


def test_a_counter_read_as_a_rate_is_refused_with_the_remedy(folder):
    octets = _octets(np.random.default_rng(11), 40, 100)
    rows = "".join(f"{STEP * k},core-1,{c}\n" for k, c in enumerate(_readings(octets, 10**12)))
    assert folder.refused("time,link,internet\n" + rows) == [
        "a.csv:2: internet: link 'core-1' only grows: a counter, not a rate; write "
        "'kind: counter', or 'kind: rate' if the demand does grow like this"
    ]
    assert folder.read("time,link,internet\n" + rows, kind="rate").samples == 41


def test_demand_is_no_counter(folder):
    # Large whole numbers, as those of counters: a day's curve, and one near the limit of 32 bits.
    hours = np.arange(600) / 12
    noise = np.random.default_rng(12).normal(0, 5e7, 600)
    for middle, size in ((6e8, 4e8), (3e9, 1e9)):
        values = np.rint(middle + size * np.sin(2 * np.pi * hours / 24) + noise)
        rows = _long(STEP * np.arange(600), values.astype(int).clip(0, 2**32 - 1))
        assert folder.read(rows, unit="bit/s").samples == 600
    assert folder.read(_long(STEP * np.arange(600), np.arange(600))).samples == 600


def test_readings_beyond_their_bits_are_refused(folder):
    assert folder.refused(_long([0, 300, 600], [1, 2**32, 2**32 + 1]), kind="counter", bits=32) == [
        "a.csv:3: internet: 4294967296 is more than a counter of 32 bits holds; write 'bits: 64'"
    ]


def test_a_fast_link_with_a_small_counter_is_warned_of(folder, tmp_path):
    counts = [3_000_000 * k for k in range(30)]
    (tmp_path / "a.csv").write_text(_long(STEP * np.arange(30), counts))
    demand = {"source": "csv", "path": str(tmp_path / "a.csv"), "kind": "counter"}
    links = {"defaults": {"capacity_mbps": 1000}}
    scenario = {"demand": demand, "links": links, "policies": ["static_p95"]}
    (warning,) = twin.Scenario.load(scenario).warnings
    assert warning.startswith("counters of 32 bits may wrap more than once between two readings")


def test_readings_coarser_than_a_stated_tick_are_refused(folder):
    times = 900 * np.arange(30) + np.arange(30) % 4
    rows = _long(times, 10**6 * np.arange(30))
    assert folder.refused(rows, kind="counter") == [
        "a.csv:2: time: the step of 15min is coarser than the tick of 5min; write 'tick: 15min', "
        "or give a finer trace"
    ]


def test_a_reading_far_from_the_others_is_refused(folder):
    rows = _long([0, 300, 600, 900_000_000_000], [1, 2, 3, 4])
    assert folder.refused(rows, kind="counter") == [
        "a.csv:5: time: 900000000000 s is far from the other times; correct the time, or remove it"
    ]
