"""The house: who may import whom, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "twin"

# In the order in which they may import: a package imports from those before it, never after.
ORDER = [
    "core", "demand", "routing", "events", "forecast", "policy", "telemetry", "engine", "account",
    "scenario", "results", "report", "api", "studies", "batches", "cli", "__main__",
]  # fmt: skip

INSIDE = {
    "batches": ["plan", "execute", "statistics", "status", "report", "batch"],
    "report": ["style", "metrics", "html", "run", "branches"],
}
"""The same inside these packages."""

ONLY_IN = {
    "simpy": {"engine"},
    "onnx": {"forecast"},
    "onnxruntime": {"forecast"},
    "typer": {"cli"},
    "distributed": {"batches"},
    "matplotlib": {"report", "studies", "batches"},
    "pooch": {"demand"},
    "filelock": {"core"},
}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All of a module but what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _runtime_nodes(node)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in _runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module in {"twin", *(f"twin.{name}" for name in INSIDE)}:
                found.discard(node.module)
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    room = _room(path)
    assert room in ORDER, f"give the room '{room}' its place in the order"
    for name in _imports(path):
        other = name.split(".")[1] if name.startswith("twin.") else room
        if other in ORDER:
            assert ORDER.index(other) <= ORDER.index(room), f"{room} imports {name}"
        outside = name.split(".")[0]
        assert room in ONLY_IN.get(outside, {room}), f"{room} imports {outside}"
        assert outside not in {"tensorflow", "keras", "tf2onnx"}, "only recipes need TensorFlow"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if _room(path) in INSIDE],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_imports_inside_a_package_go_one_way(path: Path) -> None:
    room, part = path.relative_to(PACKAGE).with_suffix("").parts[:2]
    order, own = INSIDE[room], f"twin.{room}"
    for name in (name for name in _imports(path) if f"{name}.".startswith(f"{own}.")):
        others = name.removeprefix(own).split(".")[1:]
        assert others, f"{path.name} imports {own} itself, which has no place in the order"
        assert order.index(others[0]) <= order.index(part), f"{part} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.py")), ids=lambda p: p.name)
def test_policies_import_from_twin_numpy_and_the_standard_library(path: Path) -> None:
    for name in _imports(path):
        outside = name.split(".")[0]
        assert outside in {"twin", "numpy", *sys.stdlib_module_names}
        assert not name.startswith("twin.") or name.count(".") == 1


def test_help_imports_nothing_heavy() -> None:
    heavy = "numpy pandas pyarrow pydantic matplotlib onnxruntime simpy rich yaml".split()
    code = (
        "import sys; from twin.cli.main import call; assert call(['--help']) == 0; "
        f"sys.exit(str([m for m in {heavy} if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_run_needs_neither_tensorflow_nor_matplotlib() -> None:
    heavy = ("tensorflow", "matplotlib", "typer")
    code = (
        "import sys; import twin; twin.run('surge').summary; "
        f"sys.exit(str([m for m in {heavy} if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_studies_are_outside_the_core() -> None:
    for path in MODULES:
        if _room(path) not in {"studies", "cli"}:
            assert not [name for name in _imports(path) if name.startswith("twin.studies")], path
