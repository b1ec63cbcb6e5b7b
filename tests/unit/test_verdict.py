"""The verdict of a run: whom it names, on what ground, and when it names nobody."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import twin
from twin.account.uncertainty import Difference
from twin.report.run.aggregate import aggregate
from twin.report.run.sla_scores import sla_scores
from twin.report.run.source import RunData
from twin.report.run.verdict import SlaScore, SlaTerms, recommended, verdict

CAUSES = ("unservable", "onset", "event", "ordinary")


def test_what_no_allocation_could_serve_is_taken_out_of_each_period(
    make: Callable[..., Path],
) -> None:
    demand = np.full((1_152, 2), 50.0)
    demand[700:710, 0] = 150.0  # above the capacity, on the first day of two
    demand[700:710, 1] = 90.0  # below it: a larger allocation would have served
    path = make(demand, ["last_value"], sla={"target": "1%", "period": "1d"})
    run = RunData.of(twin.run(path, overrides={"links.defaults.capacity_mbps": 100}))
    (made,) = sla_scores(run, aggregate(run, [], []))
    assert (made.within, made.within_servable, made.links) == (1, 2, 2)
    assert (made.worst_link, made.used, made.allowed) == ("link-1", 10, 2)
    assert made.worst_rate == pytest.approx(10 / 288)


def score(name: str, waste: float, rates: tuple[float, ...], **others: object) -> SlaScore:
    made = SlaScore(
        name=name,
        within=sum(rate <= 0.01 for rate in rates),
        within_servable=sum(rate <= 0.01 for rate in rates),
        links=len(rates),
        worst_link=f"link-{int(np.argmax(rates)) + 1}",
        worst_rate=max(rates),
        allowed=20,
        used=round(2_000 * max(rates)),
        interval=(0.5 * max(rates), 2 * max(rates)),
        minutes=1000 * sum(rates),
        waste_pct=waste,
        allocated=100 + waste,
        causes=dict.fromkeys(CAUSES, 0.0) | {"ordinary": 1000 * sum(rates)},
    )
    return dataclasses.replace(made, **others)  # type: ignore[arg-type]


TERMS = SlaTerms(target=0.01, intervals=2_000, tick_s=300, hopeless={})


def test_verdict_names_the_keeper_with_the_least_waste() -> None:
    made = [
        score("p95", 60, (0.05, 0.0), static=True),
        score("wide", 20, (0.0, 0.001)),
        score("tight", 4, (0.008, 0.009)),
        score("near", 1, (0.0, 0.02)),
        score("greedy", 1, (0.4, 0.5)),
    ]
    first, *rest = verdict(made, TERMS)
    assert first.startswith("tight keeps the SLA (unserved demand in at most 1 % of the 5min")
    assert "of every link, 20 of 2,000) on all 2 links with the least waste" in first
    assert "wastes 4 % of demand" in first
    assert rest[0] == (
        "On link-2, its worst link, tight used 18 of the 20 violated intervals that the SLA allows "
        "(95 % interval of its violated share: 0.45 % to 1.8 %)."
    )
    assert any("160 Mbit/s (1.5 times as much) and 50 violated minutes with p95" in s for s in rest)
    assert any(s.startswith("near would need only 101 Mbit/s") for s in rest)
    assert not any("strict" in s for s in rest)


def test_verdict_when_one_alone_keeps_it() -> None:
    made = [score("p95", 60, (0.0,), static=True), score("point", 1, (0.03,))]
    first, *rest = verdict(made, TERMS)
    assert first.startswith("Only p95 keeps the SLA")
    assert "on its only link" in first
    assert rest[1:] == [
        "point would need only 101 Mbit/s, but keeps the SLA on 0 of 1 links, with link-1 short "
        "in 3 % of intervals."
    ]


def test_verdict_when_none_keeps_it_says_why() -> None:
    causes = {"unservable": 0.0, "onset": 12.0, "event": 0.0, "ordinary": 28.0}
    made = [
        score("near", 5, (0.03, 0.01), causes=causes),
        score("far", 1, (0.5, 0.5)),
    ]
    first, second, used, third = verdict(made, TERMS)
    assert "near used 60 of the 20 violated intervals" in used
    assert first.startswith("No policy keeps the SLA")
    assert second.startswith("near comes closest: 1 of 2 links within it, the worst, link-1, short")
    assert "12 fell between the start of an event and the next tick" in third
    assert "28 fell outside of events" in third


def test_verdict_when_no_interval_may_be_violated() -> None:
    terms = dataclasses.replace(TERMS, target=0.0)
    missed = verdict([score("near", 5, (0.03, 0.01), allowed=0, within=0)], terms)
    assert missed[2].startswith(
        "The SLA allows no violated interval. On link-1, its worst link, near had 60 violated "
    )
    kept = verdict([score("wide", 5, (0.0,), allowed=0)], terms)
    assert "wide had none" in kept[1]


def test_verdict_when_no_allocation_could_have_kept_it() -> None:
    made = [
        score("wide", 50, (0.2, 0.0), within_servable=2),
        score("tight", 5, (0.2, 0.005), within_servable=2),
        score("point", 1, (0.5, 0.5)),
    ]
    first, second, *_ = verdict(made, dataclasses.replace(TERMS, hopeless={"link-1": 0.2}))
    assert "none could: link-1 had less capacity than demand, link-1 in 20 %" in first
    assert second.startswith("Apart from what no allocation could have served, tight keeps it")


def test_verdict_says_where_one_interval_breaks_the_sla() -> None:
    strict = SlaTerms(target=0.0001, intervals=2_000, tick_s=300, hopeless={})
    *_, last = verdict([score("wide", 20, (0.0,))], strict)
    assert last == (
        "The SLA is strict: a link has 2,000 intervals to be judged by, so one violated interval "
        "breaks 0.01 %."
    )
    *_, last = verdict([score("wide", 20, (0.0,))], dataclasses.replace(strict, target=0.0005))
    assert last.endswith("so 0.05 % is one violated interval, and a second one breaks it.")


def test_verdict_names_no_winner_where_the_difference_may_be_chance() -> None:
    made = [score("a", 5, (0.001,)), score("b", 5.2, (0.002,)), score("c", 9, (0.0,))]
    apart = {("b", "a"): Difference(0.2, 0.3), ("c", "a"): Difference(4.0, 0.3)}
    first, _, after, *_ = verdict(made, TERMS, lambda one, other: apart[one, other])
    assert first.startswith("a and b keep the SLA")
    assert "cannot be told apart by over-provisioning" in first
    assert "b has 0.2 \N{PLUS-MINUS SIGN} 0.3 points of % of demand more" in first
    assert "least" not in first
    assert after.startswith("c, which comes next, over-provisions 4 \N{PLUS-MINUS SIGN} 0.3")
    apart["b", "a"] = Difference(0.2, 0.1)
    first, *_ = verdict(made, TERMS, lambda one, other: apart[one, other])
    assert "a keeps the SLA" in first
    assert "with the least waste" in first


def test_verdict_goes_by_cost_where_there_are_prices() -> None:
    made = [score("lean", 5, (0.001,), cost=80.0), score("cheap", 9, (0.001,), cost=60.0)]
    first, *rest = verdict(made, TERMS, lambda *_: Difference(20.0, 3.0))
    assert first.startswith("cheap keeps the SLA")
    assert "at the least cost: it costs 60" in first
    assert "lean, which comes next, costs 20 \N{PLUS-MINUS SIGN} 3 more." in rest


def test_verdict_without_waste_or_policies() -> None:
    assert recommended([]) is None
    idle = score("idle", float("nan"), (0.0,), allocated=0.0)
    other = score("static", float("nan"), (0.0,), allocated=0.0, static=True)
    said = " ".join(verdict([idle, other], TERMS))
    assert "nan" not in said
