"""What is scored over epochs: a twin that begins anew loses nothing of what came before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fed import HISTORY, feed, opened, trace

from twin.core.errors import InputError
from twin.live import kept_past
from twin.live.http.tasks import score
from twin.live.kept_past import with_past
from twin.live.living import LivingTwin
from twin.live.scoreboard import Scoreboard

POLICIES = ["rolling_max", "last_value"]
LINKS = {"link-1": {"capacity_mbps": 45}}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


def run(folder: Path, *refits: int, stop: int = 60) -> LivingTwin:
    """A twin that has begun anew after so many intervals."""
    living = opened(folder, POLICIES, links=LINKS)
    whole = trace(HISTORY + stop)
    for k in range(stop):
        if k + 1 in refits:
            living.refit("it was asked to")
        feed(living, whole, HISTORY + k, HISTORY + k + 1)
    return living


def scored(living: LivingTwin) -> dict[str, object]:
    key = (living.first, living.interval)
    return score(living.simulation.snapshot(), key, living.acting, living.days_folder)


def test_the_scoreboard_goes_over_epochs(tmp_path: Path) -> None:
    with run(tmp_path / "one") as whole, run(tmp_path / "several", 20, 45) as parts:
        assert (whole.first, parts.first) == (0, 45)
        expected, found = scored(whole), scored(parts)
        for one, other in zip(expected["spans"], found["spans"], strict=True):
            assert other["intervals"] == 60
            assert other["start_s"] == -45 * 300
            assert other["policies"] == one["policies"]
            assert other["switch"] == one["switch"]
        here = Scoreboard.of(parts.result(), "rolling_max").as_dict()
        assert here["spans"][0]["intervals"] == 15
        joined = with_past(parts.result().recording, parts.days_folder, 45, 10_000)
        alone = whole.result().recording
        assert np.array_equal(joined.demand, alone.demand)
        for ours, theirs in zip(joined.lanes, alone.lanes, strict=True):
            assert np.array_equal(ours.requested, theirs.requested)
            assert np.array_equal(ours.allocated, theirs.allocated)
        assert joined.capacity[0][1].tolist() == alone.capacity[0][1].tolist()


def test_at_the_tick_of_a_new_beginning_what_is_kept_is_scored(tmp_path: Path) -> None:
    with run(tmp_path / "one") as whole, run(tmp_path / "several", 20, 60) as parts:
        assert (parts.first, parts.interval) == (60, 60)
        expected, found = scored(whole), scored(parts)
        for one, other in zip(expected["spans"], found["spans"], strict=True):
            assert (other["intervals"], other["start_s"]) == (60, -60 * 300)
            assert other["policies"] == one["policies"]
        for file in parts.days_folder.iterdir():
            file.unlink()
        assert scored(parts) == {"acting": "rolling_max", "spans": []}


def test_no_farther_back_than_is_asked_for_or_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run(tmp_path, 20, 45) as living:
        recording = living.result().recording
        for most, intervals in ((0, 15), (1, 40), (25, 40), (26, 60)):
            assert with_past(recording, living.days_folder, 45, most).intervals == intervals
        monkeypatch.setattr(kept_past, "_MOST_NUMBERS", 3 * 6 * 30)
        assert with_past(recording, living.days_folder, 45, 10_000).intervals == 40


def test_it_ends_at_a_hole_and_where_a_policy_was_not_there(tmp_path: Path) -> None:
    with run(tmp_path / "a", 20, 45) as living:
        recording = living.result().recording
        (tmp_path / "a/days/2026-01-03-000020.parquet").unlink()
        assert with_past(recording, living.days_folder, 45, 10_000).intervals == 15
    with run(tmp_path / "b", stop=20):
        pass
    with opened(tmp_path / "b", [*POLICIES, "static_p95"], links=LINKS) as living:
        assert living.first == 20
        feed(living, trace(HISTORY + 60), HISTORY + 20, HISTORY + 25)
        recording = living.result().recording
        assert with_past(recording, living.days_folder, 20, 10_000).intervals == 5


def test_a_refused_start_leaves_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        opened(tmp_path / "s", POLICIES, links={"no-such-link": {}})
    assert not (tmp_path / "s").exists()
    late = 1_767_225_600.0 + 400 * 86_400
    from fed import scenario

    with pytest.raises(InputError, match="nothing is known of the time since"):
        LivingTwin.open(scenario(POLICIES), tmp_path / "s", begins=late)
    assert list((tmp_path / "s").iterdir()) == []
