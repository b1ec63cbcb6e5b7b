"""Tables that only grow: what they keep, and what copies of them hold."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from twin.core.tail import Tail


def tail(rows: int) -> Tail:
    made = Tail(3, 10)
    for row in range(rows):
        made.append(np.full((1, 3), float(row)))
    return made


@pytest.mark.parametrize("rows", [4, 10, 11, 500])
def test_a_copy_holds_what_is_kept_and_goes_on(rows: int) -> None:
    whole = tail(rows)
    for other in (copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))):
        assert other.stop == whole.stop == rows
        first = max(rows - 10, 0)
        np.testing.assert_array_equal(other.rows(first, rows), whole.rows(first, rows))
        for row in range(rows, rows + 30):
            other.append(np.full((1, 3), float(row)))
        np.testing.assert_array_equal(
            other.rows(rows + 20, rows + 30)[:, 0], range(rows + 20, rows + 30)
        )
        assert whole.stop == rows


def test_a_copy_holds_as_much_before_rows_that_were_appended_together() -> None:
    whole = tail(20)
    whole.append(np.arange(60.0).reshape(20, 3))
    for other in (copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))):
        np.testing.assert_array_equal(other.rows(10, 40), whole.rows(10, 40))


def test_what_is_no_longer_kept_is_not_written() -> None:
    assert len(pickle.dumps(tail(500))) < len(pickle.dumps(tail(10))) + 100


def test_a_table_has_little_more_room_than_it_keeps() -> None:
    assert tail(5_000)._table.shape[0] <= 16


def test_rows_that_are_forgotten_are_refused() -> None:
    with pytest.raises(IndexError, match=r"rows \[0, 1\) are not in"):
        tail(500).rows(0, 1)
