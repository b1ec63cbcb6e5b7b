"""What a request may ask: checked as a scenario is, and bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twin.core.errors import InputError
from twin.live.http.question import MOST_BYTES, read_question


def read(body: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_question(data, policies=("rolling_max", "p95"), links=("a", "b"))


def test_what_is_left_out_has_defaults() -> None:
    question = read(b"")
    assert (question.for_s, question.replications, question.seed) == (6 * 3600, 50, 1)
    assert question.policies is None
    full = read(
        {
            "events": [{"kind": "link_failure", "links": ["a"], "start": "now", "duration": "1h"}],
            "links": {"b": {"capacity_mbps": 100}},
            "policies": ["p95"],
            "for": "2h",
        }
    )
    assert full.events[0].kind == "link_failure"
    assert full.written_links() == {"b": {"capacity_mbps": 100.0}}


def test_policies_are_those_of_the_twin_or_shipped() -> None:
    entry = {"name": "wide", "use": "rolling_max", "window": "2h"}
    assert read({"policies": ["p95", "static_p95", entry]}).policies == ("p95", "static_p95", entry)


def test_an_event_without_a_start_starts_now() -> None:
    cut = {"kind": "link_failure", "links": ["a"], "duration": "1h"}
    soon = {**cut, "start": "10min"}
    events = read({"events": [cut, soon]}).events
    assert [event.start for event in events] == [None, 600.0]
    for wrong in (["surge"], {"kind": "surge"}, [{"kind": ["surge"]}], 7):
        with pytest.raises(InputError):
            read({"events": wrong})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"event": []}, "event: unknown key; did you mean 'events'?"),
        ({"for": 60}, "for: a duration is text with a unit, such as '90min' or '1h 30min', not 60"),
        ({"for": "2d"}, "for: must be at most 1d, not '2d'"),
        ({"for": "0s"}, "for: must be longer than 0s, not '0s'"),
        ({"replications": 1}, "replications: must be at least 2, not 1"),
        ({"replications": 501}, "replications: must be at most 500, not 501"),
        ({"replications": True}, "replications: must be a number, not true"),
        ({"policies": ["p96"]},
         "policies.0: 'p96' is no policy of this twin, or shipped; did you mean 'p95'?"),
        ({"policies": ["/etc/x.py"]},
         "policies.0: '/etc/x.py' is no policy of this twin, or shipped"),
        ({"policies": []}, "policies: is empty"),
        ({"policies": [{"name": "p95", "use": "x.py"}]},
         "policies.0.use: must be a policy that is shipped; there are: bilstm, blend, conformal, "
         "cost_aware, forecast, last_value, percentile_decay, quantile, rolling_max, seasonal_max, "
         "static_mean2sigma, static_p95, static_percentile"),
        ({"policies": [{"use": "oracle"}]}, "policies.0.use: must be a policy that is shipped; "
         "there are: bilstm, blend, conformal, cost_aware, forecast, last_value, "
         "percentile_decay, quantile, rolling_max, seasonal_max, static_mean2sigma, static_p95, "
         "static_percentile"),
        ({"policies": [{"use": "forecast", "model": "/etc/x.onnx"}]},
         "policies.0.model: a request can name no file"),
        ({"policies": ["p95", {"use": "blend", "members": ["auto", "x.onnx"]}]},
         "policies.1.members: a request can name no file"),
        ({"policies": [{"schedule": [{"from": "0h", "use": "static_p95"}]}]},
         "policies.0.use: must be a policy that is shipped; there are: bilstm, blend, conformal, "
         "cost_aware, forecast, last_value, percentile_decay, quantile, rolling_max, seasonal_max, "
         "static_mean2sigma, static_p95, static_percentile"),
        ({"policies": [7]}, "policies.0: must be a name, or a block of keys"),
        ({"policies": ["last_value", "seasonal_max", "conformal", "blend", "quantile"]},
         "policies: holds 5 policies that have to learn; at most 4 are taken; ask twice"),
        ({"links": {"c": {}}}, "links.c: 'c' is no link of this twin"),
        ({"links": {"a": {"capacity": 1}}},
         "links.a.capacity: unknown key; did you mean 'capacity_mbps'?"),
        ({"events": [{"kind": "surge", "start": "1h"}]},
         "events.0: a surge needs 'factor' or 'add_mbps'"),
        ({"events": [{"kind": "surge", "start": "1h", "factr": 2}]},
         "events.0.factr: unknown key; did you mean 'factor'?"),
        ({"events": [{"kind": "capacity_profile", "start": "now", "path": "/etc/passwd"}]},
         "events.0.path: a request can name no file; write its content"),
        ({"events": [{"kind": "link_failure", "links": ["a"], "start": "1h"}] * 51},
         "events: holds 51 events; at most 50 are taken"),
        ([], "body: must be a block of keys"),
        (b"{", "body: line 1: is not JSON: Expecting property name enclosed in double quotes"),
        (b"\xff", "body: is not text in UTF-8"),
        (b'{"for": NaN}', "body: NaN is no number of JSON"),
        (b'{"events": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "body: is nested too deeply"),
        (b'{"events": ' + b"[" * 30 + b"]" * 30 + b"}", "body: is nested too deeply"),
        (b'{"seed": 1' + b"0" * 5_000 + b"}", "body: holds a number of 5,001 digits"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(body: Any, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read(body)
    assert [str(problem) for problem in refused.value.problems][0] == said  # noqa: RUF015


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as refused:
        read({"policies": ["x"], "links": {"y": {}}})
    assert len(refused.value.problems) == 2
    assert MOST_BYTES < 2**20
