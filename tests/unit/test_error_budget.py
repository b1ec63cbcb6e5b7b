"""What is left of an error budget, and the share to aim at."""

from __future__ import annotations

import numpy as np
import pytest

from twin.policy.budget import ErrorBudget


def _best_share(most: int, intervals: int, price: float) -> np.ndarray:
    """Return the best share for so many shortfalls and intervals left, [left + 1, intervals + 1].

    Solves the program in the docstring of ErrorBudget; after one shortfall too many nothing can be
    lost but the `price`.
    """
    cost = np.zeros(most + 2)  # the first: one too many
    cost[0] = price
    shares = np.ones((most + 1, intervals + 1))
    for left in range(1, intervals + 1):
        share = np.minimum(1 / np.maximum(cost[:-1] - cost[1:], 1), 1)
        cost[1:] += share * (cost[:-1] - cost[1:]) - np.log(share)
        shares[:, left] = share
    return shares


@pytest.mark.parametrize(("to_come", "most"), [(250, 14), (500, 25)])
def test_the_share_is_that_of_the_dynamic_program(to_come: int, most: int) -> None:
    # 40 may be short and one is kept back; all but `left` of them and it are spent.
    best = _best_share(40, 2_000, price=20_000) * to_come
    for left in range(1, most + 1):
        budget = ErrorBudget(0.02, 2_000, np.zeros(1, dtype=np.int64))
        for interval in range(2_000 - to_come):
            budget.learn(np.array([interval < 39 - left]), np.ones(1, dtype=bool))
        assert budget.share()[0] * to_come == pytest.approx(best[left, to_come], abs=0.2)


def test_nothing_is_aimed_at_where_the_budget_is_spent_or_was_none() -> None:
    late = np.zeros(1, dtype=np.int64)
    spent = ErrorBudget(0.01, 1_000, late)
    for short in range(9):
        assert spent.share()[0] > 0, short
        spent.learn(np.ones(1, dtype=bool), np.ones(1, dtype=bool))
    assert spent.share()[0] == 0
    assert ErrorBudget(0.01, 99, late).share()[0] == 0


def test_each_period_begins_with_a_whole_budget() -> None:
    budget = ErrorBudget(0.02, 500, np.zeros(1, dtype=np.int64))
    first = budget.share()[0]
    for _ in range(500):
        budget.learn(np.ones(1, dtype=bool), np.ones(1, dtype=bool))
    assert budget.share()[0] == first > 0
