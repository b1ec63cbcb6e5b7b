"""What readers look up by name: one meaning for a class, and files short enough to read."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from conftest import ROOT

LONGEST_FILE = 400


def public_classes(path: Path) -> list[str]:
    """Return the classes that a file defines, those without a leading underscore."""
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def test_no_two_public_classes_share_a_name() -> None:
    files = defaultdict(list)
    for path in sorted((ROOT / "twin").rglob("*.py")):
        for name in public_classes(path):
            files[name].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in files.items() if len(where) > 1} == {}


def test_no_file_is_longer_than_400_lines() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("twin", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert {file: count for file, count in lines.items() if count > LONGEST_FILE} == {}
