"""The living twin: in step with what comes, and the same when its journal is replayed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from fed import HISTORY, TICK, feed, opened, rows_of, scenario, table, trace, zero
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import twin
from twin import InputError
from twin.live.journal import RecordJournal
from twin.live.living import LivingTwin
from twin.live.replayed import replayed
from twin.live.samples import NotWrittenError, Samples
from twin.telemetry.source import ReplaySource, head

POLICIES = ["static_p95", {"name": "steady", "use": "conformal", "model": "persistence"}, "bilstm"]


def test_what_comes_in_time_leads_to_the_decisions_of_a_replay(tmp_path: Path) -> None:
    with opened(tmp_path, POLICIES) as living:
        feed(living, trace(), HISTORY, HISTORY + 30)
        assert living.interval == 30
        assert living.counts == {"taken": 90, "closed": 30, "missing": 0}
        live = living.result()
    source = twin.LiveSource(head(trace(), HISTORY))
    simulation = twin.Simulation(source, POLICIES)
    replay = ReplaySource(trace())
    for k in range(HISTORY, HISTORY + 30):
        source.deliver({"internet": replay.rows("internet", k, k + 1)[0]})
        simulation.step()
    assert table(live) == table(simulation.result)
    assert table(replayed(tmp_path)) == table(live)


ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from(["in time"] * 6 + ["late", "missing", "twice", "changed"]),
        st.integers(1, 9),
    ),
    min_size=3 * 24,
    max_size=3 * 24,
)


def come(living: LivingTwin, arrivals: list[tuple[str, int]], first: int, stop: int) -> None:
    """Let samples come as they may: late, not at all, twice, twice with another value."""
    whole, n = trace(), len(living.flows)
    for k in range(first, stop):
        picked: list[tuple[int, int, float]] = []
        for place, (how, delay) in enumerate(arrivals):
            sample, link = HISTORY + place // n, place % n
            comes = sample + (delay if how == "late" else 0)
            if how == "missing" or comes != k:
                continue
            value = float(whole.demand_mbps[sample, link])
            picked.append((sample, link, value))
            picked += [(sample, link, value)] if how == "twice" else []
            picked += [(sample, link, value + 1)] if how == "changed" else []
        order = np.random.default_rng(k).permutation(len(picked))
        # Disordered, but for what contradicts: there the first one counts.
        order = order if not any(how == "changed" for how, _ in arrivals) else range(len(picked))
        batch = [picked[i] for i in order]
        names = [living.flows[link] for _, link, _ in batch]
        times = [zero(living) + sample * TICK for sample, _, _ in batch]
        now = zero(living) + (k + 1) * TICK
        living.take(Samples.of(names, times, [value for _, _, value in batch]), now)
        living.advance(now + 30)


@pytest.mark.long
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ARRIVALS, st.integers(1, 22), st.booleans())
def test_whatever_comes_a_replay_of_the_journal_decides_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    arrivals: list[tuple[str, int]],
    stopped: int,
    forgets: bool,
) -> None:
    decides_the_same(tmp_path_factory.mktemp("state"), arrivals, stopped, forgets)


@pytest.mark.parametrize("forgets", [False, True])
def test_a_journal_of_disorder_decides_the_same(tmp_path: Path, forgets: bool) -> None:
    hows = np.random.default_rng(int(forgets)).choice(
        ["in time", "in time", "late", "missing", "twice", "changed"], 72
    )
    arrivals = [(str(how), 1 + place % 7) for place, how in enumerate(hows)]
    decides_the_same(tmp_path, arrivals, 11, forgets)


def decides_the_same(
    folder: Path, arrivals: list[tuple[str, int]], stopped: int, forgets: bool
) -> None:
    living = opened(folder / "a", POLICIES)
    come(living, arrivals, HISTORY, HISTORY + stopped)
    living.close()
    if forgets:
        (folder / "a/journal/000001/checkpoint").unlink()
    with opened(folder / "a", POLICIES) as living:
        come(living, arrivals, HISTORY + stopped, HISTORY + 24)
        assert living.interval == 24
        resumed, counts = table(living.result()), living.counts
    with opened(folder / "b", POLICIES) as living:
        come(living, arrivals, HISTORY, HISTORY + 24)
        assert table(living.result()) == resumed
        assert living.counts == counts
    assert table(replayed(folder / "a")) == resumed
    hows = [how for how, _ in arrivals]
    assert counts["duplicate"] == hows.count("twice")
    assert counts["conflicting"] == hows.count("changed")
    shutil.rmtree(folder)


@pytest.mark.long
def test_every_shipped_policy_decides_live_as_when_its_journal_is_replayed(tmp_path: Path) -> None:
    names = sorted(path.stem for path in (ROOT / "policies").glob("*.py"))
    arrivals = [("late" if i % 17 == 3 else "missing" if i % 23 == 5 else
                 "twice" if i % 7 == 2 else "in time", 1 + i % 5) for i in range(72)]  # fmt: skip
    with opened(tmp_path, names) as living:
        # What sees the future has none here.
        assert set(names) - set(living.policies) == {"oracle"}
        come(living, arrivals, HISTORY, HISTORY + 24)
        assert living.counts["late"] == 4
        live = table(living.result())
    assert table(replayed(tmp_path)) == live


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_a_state_is_for_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "deep" / "state", ["last_value"]):
        assert (tmp_path / "deep" / "state").stat().st_mode & 0o077 == 0


def test_a_late_sample_changes_the_account_and_no_earlier_decision(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"], telemetry={"late": "1h"}) as living:
        whole, begin = trace(), zero(living)
        feed(living, whole, HISTORY, HISTORY + 4)
        missing = Samples.of(["link-0", "link-1"], [begin + (HISTORY + 4) * TICK] * 2, [5.0, 6.0])
        now = begin + (HISTORY + 5) * TICK
        living.take(missing, now)
        assert living.advance(now + 29) == 0
        assert living.advance(now + 30) == 1
        before = living.result().intervals
        late = Samples.of(["link-2"], [begin + (HISTORY + 4) * TICK], [77.0])
        assert living.take(late, now + 31).outcomes == {"late": 1}
        feed(living, whole, HISTORY + 5, HISTORY + 20)
        after = living.result().intervals
        fifth = after.query("interval == 4 and link == 'link-2'").iloc[0]
        gap = before.query("interval == 4 and link == 'link-2'").iloc[0]
        assert np.isnan(gap["demand_mbps"])
        assert fifth["demand_mbps"] == 77
        assert fifth["requested_mbps"] == gap["requested_mbps"]
        # What was there when it was decided: nothing newer than the sample before.
        sixth = after.query("interval == 5 and link == 'link-2'").iloc[0]
        assert sixth["requested_mbps"] == whole.demand_mbps[HISTORY + 3, 2]
        too_late = living.take(late, now + 5_000)
        assert too_late.outcomes == {"too_late": 1}


def test_samples_that_do_not_count_are_counted_by_why(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"]) as living:
        t = living.begins_s
        samples = Samples.of(
            ["link-0", "link-0", "link-0", "link-1", "link-1", "link-2", "link-9", "link-2"],
            [t, t, t, t, t - 300, t + 900, t, t],
            [1.0, 1.0, 2.0, -1.0, 3.0, 4.0, 5.0, float("nan")],
        )
        receipt = living.take(samples, t)
        assert receipt.outcomes == {
            "taken": 1, "duplicate": 1, "conflicting": 1, "negative": 1, "too_late": 1,
            "future": 1, "unknown_link": 1, "not_a_number": 1,
        }  # fmt: skip
        assert receipt.unknown == ("link-9",)
        assert receipt.kept == 1
        kpis = Samples.of(["link-0"], [t], [1.0], ["speed"])
        assert living.take(kpis, t).as_dict() == {
            "samples": {"unknown_kpi": 1},
            "unknown": ["speed"],
        }


def test_finer_samples_are_averaged_whatever_their_order(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"], telemetry={"every": "1min"}) as living:
        t = living.begins_s
        for minute, value in ((4, 9.0), (0, 1.0), (2, 5.0), (1, 3.0), (3, 2.0)):
            names = list(living.links)
            living.take(Samples.of(names, [t + 60 * minute] * 3, [value, 2 * value, 0]), t + 300)
        assert living.advance(t + 300) == 1
        np.testing.assert_array_equal(living.latest.demand_mbps, [4.0, 8.0, 0.0])


def test_a_sample_between_two_ticks_is_of_its_interval(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"]) as living:
        t = living.begins_s
        living.take(Samples.of(living.links, [t - 0.4, t + 120, t + 298.5], [1.0, 2.0, 3.0]), t)
        living.take(Samples.of(living.links[:1], [t + 299.6], [9.0]), t + 300)
        living.advance(t + 300)
        np.testing.assert_array_equal(living.latest.demand_mbps, [1.0, 2.0, 3.0])


def test_an_event_and_another_acting_policy_are_kept(tmp_path: Path) -> None:
    policies = ["last_value", "static_p95"]
    with opened(tmp_path, policies) as living:
        feed(living, trace(), HISTORY, HISTORY + 5)
        living.add(twin.LinkFailure(start="now", duration="7min", links=["link-1"]))
        living.add(twin.Surge(start="40min", duration="10min", links="all", factor=2.0))
        living.act("static_p95")
        with pytest.raises(InputError, match="no policy 'p95'; there are: last_value, static_p95"):
            living.act("p95")
        with pytest.raises(InputError, match="there is no link 'x'"):
            living.add(twin.LinkFailure(start="now", duration="7min", links=["x"]))
        feed(living, trace(), HISTORY + 5, HISTORY + 7)
    with opened(tmp_path, policies) as living:
        assert living.acting == "static_p95"
        feed(living, trace(), HISTORY + 7, HISTORY + 12)
        result = living.result()
        assert list(result.events["kind"]) == ["link_failure"] * 2 + ["surge"] * 2
        failed = result.intervals.query("link == 'link-1' and policy == 'static_p95'")
        assert list(failed["violation_s"][5:8].round()) == [300, 120, 0]
        again = replayed(tmp_path)
        assert table(again) == table(result)
        assert again.events.equals(result.events)


def test_what_the_disk_does_not_take_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 3)

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        begin, now = zero(living), zero(living) + (HISTORY + 4) * TICK
        rows = rows_of(trace(), HISTORY + 3, HISTORY + 4, begin)
        monkeypatch.setattr("twin.live.journal.os.write", full)
        with pytest.raises(NotWrittenError, match="records: No space left on device"):
            living.take(rows, now)
        with pytest.raises(NotWrittenError):
            living.advance(now + 60)
        assert living.interval == 3
        monkeypatch.undo()
        assert living.take(rows, now).kept == 3
        feed(living, trace(), HISTORY + 4, HISTORY + 6)
        result = table(living.result())
    with opened(tmp_path / "other", ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 6)
        assert table(living.result()) == result
    assert table(replayed(tmp_path)) == result


def test_a_state_belongs_to_one_twin_and_to_its_links(tmp_path: Path) -> None:
    living = opened(tmp_path, ["last_value"])
    with pytest.raises(InputError, match="is in use by another living twin"):
        opened(tmp_path, ["last_value"])
    living.close()
    with pytest.raises(InputError, match="is a state of other links than those of the scenario"):
        LivingTwin.open(scenario(["last_value"], head(trace(links=2), HISTORY)), tmp_path)
    with pytest.raises(InputError, match="holds no journal of a living twin"):
        replayed(tmp_path / "nowhere")


def test_a_policy_that_crashes_costs_one_tick(tmp_path: Path) -> None:
    class Crashes(twin.Policy):
        def fit(self, history: twin.History) -> None:
            pass

        def allocate(self, observation: twin.Observation) -> np.ndarray:
            if observation.interval == 3:
                raise ZeroDivisionError("of a bug")
            return np.full(len(observation.links), 5.0)

    with opened(tmp_path, [Crashes]) as living:
        feed(living, trace(), HISTORY, HISTORY + 6)
        requested = living.result().intervals.query("link == 'link-0'")["requested_mbps"]
        assert list(requested[[0, 1, 2, 4, 5]]) == [5.0] * 5
        assert requested[3] > 5
        assert "of a bug" in living.result().events["detail"].iloc[0]


def test_a_journal_is_cut_where_it_was_torn_and_refused_where_it_is_damaged(tmp_path: Path) -> None:
    with opened(tmp_path, ["last_value"]) as living:
        feed(living, trace(), HISTORY, HISTORY + 4)
        result = table(living.result())
    records = tmp_path / "journal/000001/records"
    (tmp_path / "journal/000001/checkpoint").unlink()
    whole = records.read_bytes()
    for torn in (1, 5, 12, 13, 40):
        last = whole + framed_samples()[:torn]
        records.write_bytes(last)
        with opened(tmp_path, ["last_value"]) as living:
            assert table(living.result()) == result
        assert records.read_bytes() == whole
        (tmp_path / "journal/000001/checkpoint").unlink()
    for place in (0, 9, 30, 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        records.write_bytes(damaged)
        with pytest.raises(InputError, match="records: is damaged at byte"):
            opened(tmp_path, ["last_value"])
    assert records.read_bytes() == bytes(damaged)


def framed_samples() -> bytes:
    from twin.live.journal import framed

    return framed(b"S", bytes(range(60)))


def test_a_journal_goes_on_after_a_write_that_failed_halfway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from twin.live.journal import Position, Record, read

    journal = RecordJournal(tmp_path / "j", Position())
    journal.append(b"a", b"first")
    write = os.write

    def halfway(handle: int, data: memoryview) -> int:
        write(handle, data[:7])
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("twin.live.journal.os.write", halfway)
    with pytest.raises(NotWrittenError):
        journal.append(b"b", b"second")
    monkeypatch.undo()
    journal.append(b"c", b"third")
    journal.close()
    records = [record for record, _ in read(tmp_path / "j")]
    assert records == [Record(b"a", b"first"), Record(b"c", b"third")]
