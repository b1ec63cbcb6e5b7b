"""The validation part: the end of a scenario's history, on which settings are compared.

What is recommended from there could have been known before the replay began.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from twin.core.errors import InputError, Problem
from twin.engine.span import ReplaySpan
from twin.scenario.load import Scenario

VALIDATION: Final = 0.25
"""The validation part, as a share of the history, unless asked otherwise."""


def validation_of(scenario: Scenario, share: float = VALIDATION) -> Scenario:
    """Return a scenario that replays the last `share` of the history and fits on what is before.

    It has no events, which belong to the replay, and nothing of the trace after the history. A
    model that was trained on the whole history has seen the validation part. Raises InputError
    where that or what is before it is empty.
    """
    history = scenario.span.history
    first = history - int(share * history)
    trace = scenario.trace.seen(history)
    unseen = np.isnan(trace.demand_mbps[:first]).all(axis=0)
    lacking = [trace.links[place] for place in np.flatnonzero(unseen)]
    if first == history or lacking:
        whose = f" of link '{lacking[0]}'" if lacking else ""
        what = (
            f"the history, {history} samples, cannot be divided: "
            f"{'its last' if first == history else 'before its last'} {share:.0%} "
            f"holds no sample{whose}"
        )
        remedy = "a frontier needs a longer history, see 'demand.train'"
        raise InputError(Problem(what, file=scenario.path, suggestion=remedy))
    spec = scenario.spec.model_copy(update={"events": ()})
    span = ReplaySpan(first, first, history - first)
    return replace(scenario, spec=spec, trace=trace, span=span)
