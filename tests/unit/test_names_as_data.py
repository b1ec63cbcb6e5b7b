"""Names are data: none changes a result, is executed, or controls what shows it."""

from __future__ import annotations

import html
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import policy_file

import twin
from twin.cli.main import call
from twin.core.errors import Problem
from twin.core.printable import list_text, listed, printable, unfit
from twin.report.run.event_spans import event_spans
from twin.report.run.source import RunData
from twin.results.manifest_file import write_manifest
from twin.scenario.source import Source

NAMES = (
    "a;b", "a", "b", "x,y", 'say "so"', "it's", r"$\frac$", "cost $5 to $6", "a.b", "NA", "null",
    "1", "01", "1e5", "true", "[1]", '["a"]', "a>b", "a+b", "%s{0}", "\\", "ü ✓", "<b>&", "#x",
)  # fmt: skip
BIDI, ESCAPE = "\u202e", "\x1b"


def _scenario(folder: Path, names: Any, **keys: Any) -> Path:
    demand = np.tile(np.arange(1.0, 41.0)[:, None], (1, len(names)))
    frame = pd.DataFrame(demand, columns=list(names))
    frame = frame.assign(time=np.arange(40) * 300).melt("time", None, "link", "internet")
    frame.to_csv(folder / "trace.csv", index=False)
    path = folder / "named.yaml"
    data = {"demand": {"source": "csv", "path": "trace.csv", "train": 0.5},
            "policies": ["static_p95", "last_value"], **keys}  # fmt: skip
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which all links of NAMES fail, each surges, and some are limited."""
    folder = tmp_path_factory.mktemp("named")
    events = [
        {"kind": "link_failure", "links": "all", "start": "10min", "duration": "10min"},
        *({"kind": "surge", "links": [name], "start": "30min", "duration": "20min", "factor": 2}
          for name in NAMES),
    ]  # fmt: skip
    links = {name: {"capacity_mbps": 100 + i} for i, name in enumerate(NAMES)}
    path = _scenario(folder, NAMES, events=events, links=links)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        assert call(["run", str(path), "--out", str(folder / "out")]) == 0
    return folder


def test_every_link_has_its_own_rows_whatever_its_name(named: Path) -> None:
    result = twin.load(named / "out")
    rows = result.summary[result.summary["policy"] == "last_value"]
    assert set(rows["link"]) == {*NAMES, "all"}
    # All demands are alike, so all numbers are.
    assert rows[rows["link"] != "all"]["mae"].round(6).eq(rows["mae"].iloc[0].round(6)).all()
    assert set(result.intervals["link"]) == set(NAMES)


def test_events_name_the_links_that_they_hit_and_the_report_counts_them(named: Path) -> None:
    result = twin.load(named / "out")
    starts = result.events[result.events["phase"] == "start"]
    hit = [set(listed(text)) for text in starts["links"]]
    assert hit[0] == set(NAMES)
    assert {frozenset(names) for names in hit[1:]} == {frozenset({name}) for name in NAMES}
    run = RunData.read(named / "out")
    assert {len(span.links) for span in event_spans(run)} == {len(NAMES), 1}
    # The row of the failure: all links were down for 10 minutes, under either policy.
    page = (named / "out" / "report.html").read_text(encoding="utf-8")
    row = re.search(r'<tr><th scope="row">link_<?.*?</tr>', page)
    assert row is not None
    cells = html.unescape(re.sub("<[^>]*>", " ", row[0])).split()
    assert cells.count(f"{10 * len(NAMES)}") == 2


def test_the_report_of_a_folder_is_the_one_of_the_run(named: Path) -> None:
    before = (named / "out" / "report.html").read_bytes()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        assert call(["report", str(named / "out")]) == 0
    assert (named / "out" / "report.html").read_bytes() == before


def test_the_resolved_scenario_names_the_same_links(named: Path) -> None:
    again = twin.run(named / "out" / "scenario.yaml")
    pd.testing.assert_frame_equal(again.summary, twin.load(named / "out").summary)


def test_a_damaged_list_of_names_is_bad_input(named: Path, tmp_path: Path, capsys: Any) -> None:
    import shutil

    shutil.copytree(named / "out", tmp_path / "out")
    for links, said in (("a;b", "cannot be read"), ('"[""zz""]"', "a link that the summary")):
        (tmp_path / "out" / "events.csv").write_text(
            f"time_s,kind,name,phase,links,detail\n0.0,surge,,start,{links},\n"
        )
        facts = json.loads((tmp_path / "out" / "manifest.json").read_text())
        (tmp_path / "out" / "manifest.json").unlink()
        write_manifest(tmp_path / "out", facts)
        assert call(["report", str(tmp_path / "out")]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_an_override_reaches_a_link_of_any_name(named: Path, name: str) -> None:
    key = f"links.{json.dumps(name)}.capacity_mbps"
    asked = twin.Scenario.load(named / "named.yaml")
    assert asked.spec.links[name].capacity_mbps >= 100
    result = twin.run(named / "named.yaml", policies=["static_p95"], overrides={key: 7})
    assert result.scenario.spec.links[name].capacity_mbps == 7
    assert sum(link.capacity_mbps == 7 for link in result.scenario.spec.links.values()) == 1
    source = Source({"links": {}}, {}, None)
    source.override(f"{key}=8")
    assert source.data == {"links": {name: {"capacity_mbps": 8}}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('links."a.b=5', 'must be KEY=VALUE'),
        ('links."a"b=5', 'must be KEY=VALUE'),
        ('links."\\q".x=5', "a quote in it has no end"),
        ('links."".x=5', "a key is empty"),
        ("links..x=5", "a key is empty"),
        ("=5", "must be KEY=VALUE"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_read_is_bad_input(text: str, says: str) -> None:
    with pytest.raises(twin.InputError, match=says):
        Source({"links": {}}, {}, None).override(text)


@pytest.mark.parametrize("name", ["=cmd", "+1", "-1", "@SUM", "a\tb", "a\nb", "a\vb",
                                  ESCAPE + "[2J", f"a{BIDI}b", "\x9b31m", "a\u2028b"])  # fmt: skip
def test_a_link_that_a_spreadsheet_or_a_terminal_would_obey_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = _scenario(tmp_path, ["plain", name])
    assert call(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "rename it in the trace" in said
    assert len(said.splitlines()) == 1
    assert printable(said.rstrip("\n")) == said.rstrip("\n")
    assert not (tmp_path / "out").exists()


def test_a_policy_with_such_a_name_is_refused_unless_it_is_given_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file(tmp_path, "=cmd", "return observation.last_known_mbps")
    path = _scenario(tmp_path, ["a"], policies=["./=cmd.py"])
    assert call(["validate", str(path)]) == 2
    assert "begins with '=', which spreadsheets take for a formula; give it a 'name'" in (
        capsys.readouterr().err
    )
    _scenario(tmp_path, ["a"], policies=[{"use": "./=cmd.py", "name": "command"}])
    assert call(["validate", str(path)]) == 0
    _scenario(tmp_path, ["a"], fallback={"use": "./=cmd.py"})
    assert call(["validate", str(path)]) == 2


def test_data_info_shows_such_a_name_without_obeying_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _scenario(tmp_path, [f"{ESCAPE}[31mred{BIDI}"])
    assert call(["data", "info", str(tmp_path / "trace.csv")]) == 0
    said = capsys.readouterr().out
    assert r"\x1b[31mred\u202e" in said
    assert ESCAPE not in said


def test_messages_and_pages_hold_no_control_characters() -> None:
    from twin.report.html.markup import text

    assert str(Problem(f"no link '{ESCAPE}[31m{BIDI}'")) == r"no link '\x1b[31m\u202e'"
    assert text(f"<{ESCAPE}>\n\t{BIDI}") == "&lt;\\x1b&gt;\n\t\\u202e"


def test_a_policy_cannot_write_to_the_terminal_through_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file(tmp_path, "loud", f"raise ValueError({ESCAPE + '[2J' + BIDI!r})")
    assert call(["run", str(_scenario(tmp_path, ["a"], policies=["loud"])), "--no-report"]) == 1
    said = capsys.readouterr().err
    assert r"ValueError: \x1b[2J\u202e" in said
    assert ESCAPE not in said


def test_lists_of_names_come_back_as_they_were() -> None:
    for names in ((), NAMES, ("",), (";", ",")):
        assert listed(list_text(names)) == names
    for wrong in ("", "a;b", "{}", "[1]", "1"):
        with pytest.raises(ValueError, match=r"not a list of names|Expecting|Extra data"):
            listed(wrong)
    assert [name for name in NAMES if unfit(name)] == []


def test_names_with_dollar_signs_are_drawn_as_they_are(tmp_path: Path) -> None:
    from matplotlib.text import Text

    path = _scenario(tmp_path, [r"cost $5 to $6", r"$\frac$"])
    figure = twin.run(path, policies=["static_p95"]).plot()
    spoken = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    assert spoken
    assert not any(text.get_parse_math() for text in spoken)
