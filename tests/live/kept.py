"""A living twin in a process of its own, which is killed: it says what was acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path

from fed import HISTORY, TICK, opened, rows_of, trace, zero

POLICIES = ["static_p95", {"name": "steady", "use": "conformal", "model": "persistence"}]
INTERVALS = 40


def work(folder: Path) -> None:
    whole = trace()
    with opened(folder, POLICIES) as living:
        # What came and was not acknowledged is sent again, as any sender does.
        begin = HISTORY + living.interval
        print("resumed", living.interval, flush=True)
        for k in range(begin, HISTORY + INTERVALS):
            now = zero(living) + (k + 1) * TICK
            receipt = living.take(rows_of(whole, k, k + 1, zero(living)), now)
            print("taken", k - HISTORY, sum(receipt.outcomes.values()), flush=True)
            living.advance(now)
            print("decided", k - HISTORY, flush=True)
            if k % 7 == 0:
                living._keeper.checkpoint()
        print("done", flush=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
