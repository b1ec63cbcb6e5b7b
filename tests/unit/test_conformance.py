"""The conformance test: shipped policies pass it, and it finds what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import policy_file

from twin import InputError
from twin.cli.conformance import check_policy
from twin.cli.main import call
from twin.core import content
from twin.studies.conformance import ConformanceReport, check, checks
from twin.studies.conformance.report import Status

pytestmark = pytest.mark.long


def outcome(report: ConformanceReport, name: str) -> tuple[Status, str]:
    (one,) = [each for each in report.checks if each.name == name]
    return one.status, one.message


@pytest.mark.parametrize("name", content.shipped("policies"))
def test_every_shipped_policy_conforms_without_a_warning(name: str) -> None:
    report = check(content.shipped("policies")[name])
    assert [str(each) for each in report.checks if each.status is not Status.OK] == []


CONSTANT = "return np.full(len(observation.links), 5.0)"


@pytest.mark.parametrize(
    ("body", "failing", "message"),
    [
        ("return observation.demand_mbps[-1]", "gaps", "asked for nan Mbit/s"),
        ("return observation.demand_mbps[-1]", "gaps", "observation.last_known_mbps"),
        ("return np.full(5, 5.0)", "one link", r"shape (5,), not (1,)"),
        ("return observation.last_known_mbps - 50", "five links", "asked for -"),
        (
            "return observation.coming_mbps",
            "no look into the future",
            "say `bound: ClassVar[bool] = True`",
        ),
        ("return np.random.rand(len(observation.links))", "the same twice", "seed what is random"),
        (
            "Mine.count = getattr(Mine, 'count', 0) + 1\n"
            "return np.full(len(observation.links), float(Mine.count))",
            "in a schedule",
            "keep what it learns in the instance",
        ),
        (
            "return observation.last_known_mbps * (1 + np.arange(len(observation.links)))",
            "the order of links",
            "tell them by name",
        ),
        (
            "shown = observation.demand_mbps\nwhile shown.base is not None:\n"
            f"    shown = shown.base\nshown.setflags(write=True)\nshown[0] = 1\n{CONSTANT}",
            "the input stays as it is",
            "copy an array before you change it",
        ),
    ],
)
def test_a_fault_is_found_and_told_with_a_remedy(
    tmp_path: Path, body: str, failing: str, message: str
) -> None:
    report = check(policy_file(tmp_path, "mine", body))
    status, what = outcome(report, failing)
    assert status is Status.FAILED
    assert message in what
    assert not report.passed


@pytest.mark.parametrize(
    ("body", "warned", "message"),
    [
        (CONSTANT, "another unit of traffic", "right only for numbers stated in Mbit/s"),
        (
            "return np.nan_to_num(np.nanmean(observation.demand_mbps[-3:], axis=0))",
            "gaps",
            "RuntimeWarning: Mean of empty slice",
        ),
        (
            "return np.nanmean(observation.demand_mbps[-12:], axis=0)",
            "gaps of hours",
            "as it is, the run ends there, or a stated 'fallback' decides",
        ),
    ],
)
def test_what_may_be_meant_is_a_warning_and_passes(
    tmp_path: Path, body: str, warned: str, message: str
) -> None:
    report = check(policy_file(tmp_path, "mine", body))
    status, what = outcome(report, warned)
    assert status is Status.WARNING
    assert message in what
    assert report.passed


def test_a_slow_policy_is_told_how_long_a_year_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_SLOW_S", 0.0)
    status, what = outcome(check(content.shipped("policies")["last_value"]), "time per tick")
    assert status is Status.WARNING
    assert "a year would take" in what


def test_a_bound_may_look_into_the_future() -> None:
    status, what = outcome(check(content.shipped("policies")["oracle"]), "no look into the future")
    assert status is Status.OK
    assert "kept out of rankings" in what


def test_a_policy_that_takes_any_parameter_fails(tmp_path: Path) -> None:
    path = policy_file(tmp_path, "mine", "return observation.last_known_mbps")
    anything = "    def __init__(self, **anything):\n        pass\n\n    def allocate"
    path.write_text(path.read_text().replace("    def allocate", anything))
    assert outcome(check(path), "parameters")[0] is Status.FAILED


def test_imports_beyond_numpy_and_the_standard_library_are_outcome(tmp_path: Path) -> None:
    path = policy_file(tmp_path, "mine", "return observation.last_known_mbps")
    path.write_text("import pandas\n" + path.read_text())
    status, what = outcome(check(path), "docstring and imports")
    assert status is Status.WARNING
    assert "imports pandas" in what


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import gc", "uses gc"),
        ("import ctypes as c", "uses ctypes"),
        ("from twin.policy.services import services", "uses twin.policy.services"),
        ("import twin.engine.engine", "uses twin.engine.engine"),
        ("import sys; frame = sys._getframe", "uses _getframe"),
    ],
)
def test_reaching_for_what_is_not_shown_is_told(tmp_path: Path, line: str, told: str) -> None:
    path = policy_file(tmp_path, "mine", "return observation.last_known_mbps")
    path.write_text(f"{line}\n{path.read_text()}")
    status, what = outcome(check(path), "docstring and imports")
    assert status is Status.WARNING
    assert told in what


def test_a_file_that_cannot_be_loaded_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("from twin import Policy\n\nclass Mine(Policy):\n    margin: float\n")
    with pytest.raises(InputError, match="parameter 'margin' needs a default"):
        check(path)


def test_a_model_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    path = policy_file(tmp_path, "mine", "return observation.forecast('no_model')")
    asks = "    def models(self, kpis):\n        return ('no_model',)\n\n    def allocate"
    path.write_text(path.read_text().replace("    def allocate", asks))
    with pytest.raises(InputError, match="no model 'no_model'"):
        check(path)


def test_the_command_prints_a_line_for_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    check_policy("last_value")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       docstring and imports"
    assert lines[1] == "ok       parameters: margin=0.0"
    assert lines[-1] == "last_value: 21 checks, passed"
    assert len(lines) == 22


def test_the_same_failure_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = policy_file(tmp_path, "bad", "return observation.demand[-1]")
    assert call(["check-policy", str(bad)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum("no attribute 'demand'" in line for line in lines) == 1
    assert lines[3] == "failed   one link: as in 'five links'"


def test_the_command_exits_as_the_checks_went(tmp_path: Path) -> None:
    bad = policy_file(tmp_path, "bad", "return observation.demand_mbps[-1]")
    assert call(["check-policy", "static_p95"]) == 0
    assert call(["check-policy", str(bad)]) == 1
    assert call(["check-policy", "no_policy"]) == 2
