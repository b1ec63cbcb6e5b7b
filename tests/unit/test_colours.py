"""One policy has one look, whatever stands beside it."""

from __future__ import annotations

from twin.core import content
from twin.report.colours import LOOKS, colour_of, looks_of


def test_shipped_policies_have_a_look_each_that_nothing_changes() -> None:
    shipped = sorted(content.shipped("policies"))
    looks = looks_of(shipped)
    assert len(set(looks.values())) == len(shipped)
    for name in shipped:
        assert looks_of([name, "mine", *shipped[:2]])[name] == looks[name]
    # Those that are compared most often differ by colour, not by dashes alone.
    often = ["static_mean2sigma", "static_p95", "bilstm", "conformal", "rolling_max", "oracle"]
    assert len({colour_of(looks[name]) for name in often}) == len(often)


def test_the_look_of_a_name_depends_on_no_order() -> None:
    names = [f"p{i}" for i in range(5)]
    assert looks_of(names) == looks_of(names[::-1])
    assert looks_of(["p3"])["p3"] in range(LOOKS)


def test_no_two_policies_of_a_report_look_alike_while_there_are_looks() -> None:
    names = [f"policy-{i}" for i in range(LOOKS)]
    assert sorted(looks_of(names).values()) == list(range(LOOKS))
    assert len(looks_of([*names, "one-more"])) == LOOKS + 1
