"""The pages of the documentation: their commands end as they say, their scenarios are valid."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import jsonschema
import pytest
import yaml
from conftest import ROOT

from twin.core import content
from twin.scenario.schema import schema
from twin.scenario.spec import ScenarioSpec

DOCS = ROOT / "docs"
QUESTIONS = sorted(path.stem for path in (DOCS / "questions").glob("*.md"))


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_site_{name}", DOCS / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_commands_of_a_question_end_well(question: str) -> None:
    text = (DOCS / "questions" / f"{question}.md").read_text(encoding="utf-8")
    page = _module("runs").run_page(text, question)
    assert page.text.count("$ twin ") == text.count("$ twin ")
    assert len(page.text) > len(text) + 200
    for block in re.findall(r"```yaml[^\n]*\n(.*?)```", text, re.DOTALL):
        assert len(block.splitlines()) <= 12


def test_the_reference_is_made_of_what_is_there() -> None:
    reference = _module("reference")
    for key in schema(ScenarioSpec)["properties"]:
        assert f"| `{key}` |" in reference.scenario()
    assert [name for name in content.shipped("policies") if f"## {name}\n" not in
            reference.policies()] == []  # fmt: skip
    assert "## twin outlook" in reference.commands()
    assert "twin.api.simulation.Simulation" in reference.python()


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
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
