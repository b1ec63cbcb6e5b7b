"""Drift in a twin that is served: what is said of it, and when policies learn again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fed import HISTORY, TICK, rows_of, scenario, table, zero
from serving import running

import twin
from twin.live.drifting import LiveDrift
from twin.live.http.loop import TraceFeeder, TwinLoop
from twin.live.http.service import LiveService
from twin.live.living import LivingTwin
from twin.live.replayed import replayed
from twin.live.samples import Samples
from twin.telemetry.source import head

BEGINS = 10
"""The interval of the live in which something happens."""
DAY = 288


def made(live: int, factors: dict[int, Any]) -> twin.Trace:
    """Return a calm trace with a level of some links that is another from `BEGINS` on."""
    rng, samples = np.random.default_rng(8), HISTORY + live
    t = np.arange(samples)[:, None]
    values = np.array([100.0, 40.0, 300.0]) * (1.2 + 0.6 * np.sin(2 * np.pi * t / DAY))
    values *= np.exp(rng.normal(0, 0.05, values.shape))
    for link, (factor, length, *begins) in factors.items():
        first = HISTORY + (begins or [BEGINS])[0]
        values[first : first + length, link] *= factor
    frame = pd.DataFrame(values, columns=[f"link-{i}" for i in range(3)])
    frame.index = pd.date_range("2026-01-01", periods=samples, freq="5min")
    return twin.Trace.from_frame(frame)


def opened(whole: twin.Trace, folder: Path, **keys: Any) -> LivingTwin:
    past = head(whole, HISTORY)
    return LivingTwin.open(scenario(["static_p95", "last_value"], past, **keys), folder)


def served(living: LivingTwin, whole: twin.Trace, stop: int | None = None) -> LiveService:
    """Feed a twin the rest of a trace, as fast as its loop takes it."""
    stop, start = stop or whole.samples - HISTORY, zero(living)

    def rest() -> Iterator[tuple[Samples, float]]:
        for k in range(HISTORY + living.interval, HISTORY + stop):
            yield rows_of(whole, k, k + 1, start), start + (k + 1) * TICK

    end = living.begins_s + stop * TICK
    loop = TwinLoop(living, lambda: end, TraceFeeder(rest()), poll_s=0.001)
    service = LiveService(loop)
    living.ahead_s = 0.0
    living.subscribe(lambda closed: loop.stop() if closed.interval == stop - 1 else None)
    loop.run()
    assert living.interval == stop
    return service


def counted(service: LiveService, name: str) -> float:
    lines = service.measures.text().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_a_shift_is_named_and_lets_policies_learn_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "twin.live.drift")
    whole = made(90, {1: (1.8, 1_000)})
    with opened(whole, tmp_path) as living:
        service = served(living, whole)
        (found,) = service.drift.told()["drift"]
        assert (found["link"], found["kind"], found["direction"]) == ("link-1", "shift", 1)
        assert not found["open"]
        assert abs(found["since_s"] - living.begins_s - BEGINS * TICK) <= 2 * TICK
        first = HISTORY + BEGINS
        came = whole.demand_mbps[first : first + 48, 1].mean()
        assert found["size_mbps"] == pytest.approx(came * 0.8 / 1.8, rel=0.15)
        assert living.why == "drift: the level of link-1 has shifted"
        # Four hours after it began it is confirmed, and the next interval begins anew.
        assert BEGINS + 48 <= living.first <= BEGINS + 52
        assert service.drift.told()["drift_watch"]["refit_waits"] is None
        assert counted(service, 'twin_drifts_total{kind="shift"}') == 1
        assert counted(service, 'twin_drift_refits_total{outcome="begun"}') == 1
        assert counted(service, "twin_drifts_open") == 0
        decided = table(living.result())
    warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warned) == 2
    assert warned[0].startswith("shift on link-1: since 2026-01-03T02:5")
    assert warned[1] == ("policies and models learn again; drift: the level of link-1 has shifted")
    assert table(replayed(tmp_path)) == decided
    assert replayed(tmp_path, number=1).intervals["interval"].nunique() == living.first


def test_shifts_that_may_be_chance_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.live.drifting._BY_CHANCE", 0.4)
    whole = made(90, {1: (1.8, 1_000)})
    with opened(whole, tmp_path) as living:
        service = served(living, whole)
        assert [each["kind"] for each in service.drift.told()["drift"]] == ["shift"]
        assert (living.first, living.refitting) == (0, None)


def test_a_surge_does_not(tmp_path: Path) -> None:
    whole = made(70, {1: (1.8, 18)})
    with opened(whole, tmp_path) as living:
        service = served(living, whole)
        (found,) = service.drift.told()["drift"]
        assert (found["link"], found["kind"], found["open"]) == ("link-1", "surge", False)
        assert (living.first, living.refitting) == (0, None)
        assert counted(service, 'twin_drifts_total{kind="change"}') == 1
        assert counted(service, 'twin_drift_refits_total{outcome="begun"}') == 0


def test_a_refit_waits_for_a_surge_that_is_planned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = made(90, {1: (0.4, 1_000)})
    surge: dict[str, Any] = {
        "kind": "surge",
        "links": ["link-2"],
        "start": "4h",
        "duration": "150min",
    }
    surge |= {"factor": 2}
    with opened(whole, tmp_path, events=[surge]) as living:
        service = served(living, whole, 70)
        why = "for an event of demand is under way or planned: surge"
        assert service.drift.told()["drift_watch"]["refit_waits"] == why
        assert counted(service, "twin_drift_refit_waits") == 1
        assert counted(service, 'twin_drift_refits_total{outcome="put_off"}') == 1
        assert living.refitting is None
        said = [each.getMessage() for each in caplog.records if "learn again yet" in each.msg]
        assert len(said) == 1
        # A server that starts again wants it still, and begins it once the surge is over.
        again = served(living, whole)
        assert again.drift.told()["drift_watch"]["refit_waits"] is None
        assert 79 <= living.first <= 80


def test_they_learn_again_at_most_once_a_day(tmp_path: Path) -> None:
    whole = made(BEGINS + 2 * DAY, {1: (1.8, 2_000), 0: (0.4, 2_000, 150)})
    with opened(whole, tmp_path) as living:
        first = served(living, whole, 240)
        begun = living.first
        waits = "for they did less than a day ago"
        assert first.drift.told()["drift_watch"]["refit_waits"] == waits
        served(living, whole, begun + DAY)
        assert living.first == begun
        served(living, whole, begun + DAY + 3)
        assert begun + DAY <= living.first <= begun + DAY + 2


def test_what_is_open_is_known_after_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "twin.live.drift")
    whole = made(60, {1: (1.8, 1_000)})
    with opened(whole, tmp_path) as living:
        before = served(living, whole, 30).drift.told()["drift"]
    assert [(each["link"], each["kind"]) for each in before] == [("link-1", "change")]
    caplog.clear()
    with opened(whole, tmp_path) as living:
        after = LiveDrift(living).told()["drift"]
    assert [(each["link"], each["open"]) for each in after] == [("link-1", True)]
    assert abs(after[0]["since_s"] - before[0]["since_s"]) <= 2 * TICK
    assert not caplog.records


def test_what_does_not_come_is_missing_and_then_back(tmp_path: Path) -> None:
    whole = made(40, {})
    values = whole.demand_mbps
    with opened(whole, tmp_path) as living:
        watch = LiveDrift(living)
        living.subscribe(watch.closed)
        start = zero(living)
        for k in range(HISTORY, HISTORY + 40):
            links = whole.links[1:] if 5 <= k - HISTORY < 20 else whole.links
            columns = [whole.links.index(link) for link in links]
            now = start + (k + 1) * TICK
            times = [start + k * TICK] * len(links)
            living.take(Samples.of(list(links), times, values[k, columns].tolist()), now)
            living.advance(now + TICK / 2)
            if k == HISTORY + 15:
                (open_,) = watch.told()["drift"]
                assert (open_["link"], open_["kind"], open_["open"]) == ("link-0", "missing", True)
                assert open_["since_s"] == living.begins_s + 5 * TICK
        (found,) = watch.told()["drift"]
        assert (found["kind"], found["open"], watch.open) == ("back", False, 0)
        assert watch.counts == {"change": 0, "shift": 0, "surge": 0, "missing": 1, "back": 1}


def test_it_is_in_the_state_and_the_metrics_that_are_served(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        calm = server.client.get("/state").json()
        assert calm["drift"] == []
        watch = {"watches": True, "more": 0, "refit_at": None, "refit_waits": None}
        assert calm["drift_watch"] == watch
        # Ten times what is usual on link-2, whose level is 7 Mbit/s.
        server.close_intervals(8)
        found = {each["link"]: each for each in server.client.get("/state").json()["drift"]}
        assert set(found["link-2"]) == {
            "link", "kind", "open", "since", "since_s", "direction", "size_mbps", "in_scales",
        }  # fmt: skip
        assert (found["link-2"]["kind"], found["link-2"]["direction"]) == ("change", 1)
        assert found["link-2"]["since"] == "2026-01-03T02:00:00Z"
        metrics = server.client.get("/metrics").text
        assert f'twin_drifts_total{{kind="change"}} {len(found)}.0' in metrics


def test_nothing_is_said_of_a_link_that_was_silent_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two days are looked at, as with very many links.
    monkeypatch.setattr("twin.live.drifting._MOST_NUMBERS", 0)
    whole, past = made(700, {}), HISTORY + 600
    frame = pd.DataFrame(whole.demand_mbps.copy(), columns=list(whole.links))
    frame.iloc[12:past, 1] = np.nan
    frame.index = pd.date_range("2026-01-01", periods=len(frame), freq="5min")
    history = head(twin.Trace.from_frame(frame), past)
    with LivingTwin.open(scenario(["last_value"], history), tmp_path) as living:
        watch, start = LiveDrift(living), living.begins_s - past * TICK
        living.subscribe(watch.closed)
        for k in range(past, past + 60):
            now = start + (k + 1) * TICK
            living.take(rows_of(whole, k, k + 1, start), now)
            living.advance(now)
        assert living.interval == 60
        assert watch.told()["drift_watch"]["watches"]
        assert watch.told()["drift"] == []


def test_less_than_two_days_are_no_past(tmp_path: Path) -> None:
    whole = made(0, {})
    with LivingTwin.open(scenario(["last_value"], head(whole, 560)), tmp_path) as living:
        watch, start = LiveDrift(living), living.begins_s - 560 * TICK
        living.subscribe(watch.closed)
        assert not watch.told()["drift_watch"]["watches"]
        for k in range(560, 576):
            assert not watch.told()["drift_watch"]["watches"]
            living.take(rows_of(whole, k, k + 1, start), start + (k + 1) * TICK)
            living.advance(start + (k + 1) * TICK)
        assert watch.told()["drift_watch"]["watches"]
