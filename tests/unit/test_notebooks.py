"""The notebooks run from their first cell to their last, and show what their text says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, docs_module

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_plain_python_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            compile("".join(cell["source"]), path.name, "exec")


def _run(name: str) -> Any:
    runner = docs_module("notebooks")
    before = Path.cwd()
    page = runner.run(ROOT / "docs" / "notebooks" / f"{name}.ipynb")
    assert Path.cwd() == before
    return page


@pytest.mark.long
def test_the_planners_notebook_runs() -> None:
    page = _run("planner")
    assert list(page.pictures) == ["planner-0.png"]
    assert "1 gap of up to 1h (3 samples) interpolated" in page.text
    names = page.names
    assert [row[:2] for row in names["rows"]] == [
        ("0s", "cost_aware"), ("15min", "cost_aware"), ("1h", "cost_aware"),
    ]  # fmt: skip
    costs = [row[2] for row in names["rows"]]
    assert costs == sorted(costs)
    more = names["with_loss"]["unmet_mbit"] - names["without"]["unmet_mbit"]
    assert (more.xs("lyon", level="link") > 1e6).all()
    assert (more.xs("paris", level="link") == 0).all()


@pytest.mark.long
def test_the_researchers_notebook_runs() -> None:
    names = _run("researcher").names
    errors, judged = names["errors"], names["judged"]
    assert errors["last value"] == pytest.approx(names["pooled"].loc["persistence", "mae"])
    assert names["pooled"].loc["ridge_traffic", "mae"] < errors["own"] < errors["last value"]
    # Each holds 1 %, the agent by what shortfalls cost alone.
    assert (judged["sla_violation_rate"] <= 0.01).all()
    learn, judge = names["learn"].scenario.span, names["judge"].scenario.span
    assert learn.first + learn.intervals <= judge.first
    assert judged.loc["agent", "cost"] < judged["cost"].max()


def test_a_cell_shows_what_its_last_line_comes_to(tmp_path: Path) -> None:
    runner = docs_module("notebooks")
    cells = ["print('a')\n1 + 1", "x = 3", "x;", "import pandas\npandas.DataFrame({'b': [x]})"]
    code = [{"cell_type": "code", "source": source.splitlines(True)} for source in cells]
    about = {"cell_type": "markdown", "source": ["# About\n"]}
    path = tmp_path / "small.ipynb"
    path.write_text(json.dumps({"cells": [about, *code]}))
    text = runner.run(path).text
    assert text.startswith(
        "# About\n\n```python\nprint('a')\n1 + 1\n```\n\n```text\na\n```\n\n```text\n2\n```\n\n"
        "```python\nx = 3\n```\n\n```python\nx;\n```\n\n```python\nimport pandas"
    )
    assert "<td>3</td>" in text
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": ["y = 1\n", "y / 0"]}]}))
    with pytest.raises(ZeroDivisionError):
        runner.run(path)
