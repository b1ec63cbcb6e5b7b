"""The pages of the documentation: their commands end as they say, their scenarios are valid."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import ROOT, docs_module

import twin
from twin.core import content
from twin.scenario.schema import schema
from twin.scenario.spec import ScenarioSpec

DOCS = ROOT / "docs"
QUESTIONS = sorted(path.stem for path in (DOCS / "questions").glob("*.md"))


@pytest.mark.long
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_commands_of_a_question_end_well(question: str) -> None:
    text = (DOCS / "questions" / f"{question}.md").read_text(encoding="utf-8")
    page = docs_module("runs").run_page(text, question)
    assert page.text.count("$ twin ") == text.count("$ twin ")
    assert len(page.text) > len(text) + 200
    for block in re.findall(r"```yaml[^\n]*\n(.*?)```", text, re.DOTALL):
        assert len(block.splitlines()) <= 12


@pytest.mark.long
def test_the_tutorial_ends_as_it_says(tmp_path: Path) -> None:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    page = docs_module("runs").run_page(text, "tutorial", DOCS / "tutorial")
    assert "no unit is named" in page.text
    assert "3 samples) interpolated" in page.text
    assert "Kept on every link by conformal alone" in page.text
    assert page.text.count("$ twin ") == text.count("$ twin ") == 7
    assert {name.split("-")[-1] for name in page.pictures} == {"allocation.png", "slide.png"}
    shutil.copy(DOCS / "tutorial" / "uplinks.csv", tmp_path)
    (tmp_path / "decision.yaml").write_text(_titled(text)["decision.yaml"])
    planned, harder = (
        twin.run(tmp_path / "decision.yaml", overrides={"events.0.factor": factor}).account.summary
        for factor in (1.5, 2)
    )
    cost = planned[planned["link"] == "all"].set_index("policy")["cost"]
    for policy in ("cost_aware", "conformal"):
        assert 0.7 < cost[policy] / cost["busy_hour"] < 0.82
    more = harder[harder["link"] == "all"].set_index("policy")["cost"]
    assert more.idxmax() == "busy_hour"
    missed = harder[harder["sla_used_intervals"] > harder["sla_allowed_intervals"]]
    assert set(missed["policy"]) == {"busy_hour", "rolling_max"}


def _titled(text: str) -> dict[str, str]:
    """The files that a page holds, by name."""
    return dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', text, re.DOTALL))


def test_the_reference_is_made_of_what_is_there() -> None:
    reference = docs_module("reference")
    for key in schema(ScenarioSpec)["properties"]:
        assert f"| `{key}` |" in reference.scenario()
    assert [name for name in content.shipped("policies") if f"## {name}\n" not in
            reference.policies()] == []  # fmt: skip
    assert "## twin outlook" in reference.commands()
    assert "twin.api.simulation.Simulation" in reference.python()


def test_links_within_the_reference_lead_somewhere() -> None:
    reference = docs_module("reference")
    pages = (reference.scenario(), reference.events(), reference.sweep())
    for page in pages:
        heads = {head.lower().replace(" ", "-") for head in re.findall(r"^#+ (.*)$", page, re.M)}
        links = set(re.findall(r"\]\(#([^)]+)\)", page))
        assert links
        assert links <= heads


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages |= {f"notebooks/{path.stem}.md" for path in (DOCS / "notebooks").glob("*.ipynb")}
    assert {page for page in pages if page not in text} == set()
    assert yaml.safe_load(text)["strict"] is True


def test_editors_take_the_scenarios_that_pages_show() -> None:
    validator = jsonschema.Draft202012Validator(schema(ScenarioSpec))
    shown = 0
    for path in DOCS.glob("*.md"):
        for block in re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            data = yaml.safe_load(block)
            keys = set(data) if isinstance(data, dict) else set()
            if {"policies", "events"} & keys and "scenario" not in keys:
                validator.validate({"policies": ["static_p95"], **data})
                shown += 1
    assert shown > 5
