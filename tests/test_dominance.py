"""Under surges and failures, what holds the SLA is not dominated by the paper's policies."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import twin
from twin.account.dominance import dominated

PAPER = ["static_mean2sigma", "static_p95", "bilstm"]
SCENARIOS = ["surge", "flash_crowd", "link_failure"]
PAGE = ROOT / "docs" / "dominance.md"


@cache
def pooled(name: str) -> pd.DataFrame:
    """Return a row for each policy over all links, the bound last.

    `shared_minutes` are those in which the bound was short as well.
    """
    result = twin.run(name, policies=[*PAPER, "conformal", "oracle"])
    rows = result.summary[result.summary["link"] == "all"].set_index("policy")
    violated = result.intervals["violation_s"].to_numpy().reshape(len(rows), -1)
    return rows.assign(shared_minutes=np.minimum(violated, violated[-1]).sum(axis=1) / 60)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_policy_of_the_paper_dominates_the_adaptive_margin(name: str) -> None:
    by = dominated(pooled(name).drop(index="oracle"))
    assert not set(by["conformal"]) & set(PAPER)
    # That domination is found where it is: a percentile held all day loses in both.
    # In one day two intervals may be short: to hold that through a flash crowd has its price.
    assert ("conformal" in by["static_p95"]) == (name != "flash_crowd")


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_unavoidable_is_the_same_for_everyone(name: str) -> None:
    rows = pooled(name)
    unavoidable, onset = rows["unavoidable_violation_minutes"], rows["onset_violation_minutes"]
    assert (unavoidable == unavoidable.iloc[0]).all()
    assert (unavoidable + onset <= rows["sla_violation_minutes"] + 1e-9).all()
    assert (unavoidable.iloc[0] > 0) == (name == "link_failure")
    assert (unavoidable <= rows["shared_minutes"] + 1e-9).all()


def test_domination_needs_no_worse_in_both_and_better_in_one() -> None:
    values = {"a": (5, 10), "b": (5, 10), "c": (5, 11), "d": (4, 12), "e": (9, np.nan)}
    table = pd.DataFrame(values, index=["sla_violation_minutes", "over_provisioning_pct"]).T
    assert dominated(table) == {"a": (), "b": (), "c": ("a", "b"), "d": (), "e": ()}


# The page


def _table(name: str) -> str:
    rows = pooled(name)
    by = dominated(rows.drop(index="oracle"))
    lines = [
        "| policy | violated min | above capacity | onset | answerable | oracle too "
        "| over-provisioning % | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for policy, row in rows.iterrows():
        minutes = row["sla_violation_minutes"]
        physics = [row["unavoidable_violation_minutes"], row["onset_violation_minutes"]]
        told = (minutes, *physics, minutes - sum(physics), row["shared_minutes"])
        cells = [f"{value:.1f}" for value in told]
        named = ", ".join(f"`{other}`" for other in by.get(str(policy), ()))
        said = "the bound" if policy == "oracle" else f"dominated by {named}" if named else ""
        waste = f"{row['over_provisioning_pct']:.1f}"
        lines.append(f"| `{policy}` | {' | '.join([*cells, waste, said])} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_page_shows_these_tables(name: str, request: pytest.FixtureRequest) -> None:
    place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    made = _table(name)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(place.sub(lambda _: made, PAGE.read_text(), count=1))
    found = place.search(PAGE.read_text())
    assert found is not None
    (words, numbers), (other_words, other_numbers) = (_parts(t) for t in (found[0], made))
    assert words == other_words
    # A recurrent network's last digits depend on the processor.
    assert numbers == pytest.approx(other_numbers, rel=2e-3, abs=0.11)


def _parts(table: str) -> tuple[list[str], list[float]]:
    return re.sub(r"\d+\.\d", "#", table).split(), [float(n) for n in re.findall(r"\d+\.\d", table)]
