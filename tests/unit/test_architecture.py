"""The architecture: which package may import which, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import ROOT

TWIN = ROOT / "twin"

# In the order in which they may import: a package imports from those before it, never after.
ORDER = [
    "core", "demand", "topology", "routing", "events", "forecast", "policy", "telemetry", "engine",
    "account", "scenario", "results", "report", "api", "studies", "batches", "live", "gym", "cli",
    "__main__",
]  # fmt: skip

INSIDE = {
    "batches": ["plan", "execute", "statistics", "status", "report", "batch"],
    "report": [
        "style",
        "colours",
        "dates",
        "files",
        "metrics",
        "html",
        "map",
        "slide",
        "savings",
        "run",
        "contingency",
        "branches",
    ],
}
"""The same inside these packages."""

ONLY_IN = {
    "simpy": {"engine"},
    "onnx": {"forecast"},
    "onnxruntime": {"forecast"},
    "typer": {"cli"},
    "distributed": {"batches"},
    "gymnasium": {"gym"},
    "numba": {"studies"},
    "matplotlib": {"report", "studies", "batches"},
    "pooch": {"demand"},
    "filelock": {"core"},
    "starlette": {"live"},
    "uvicorn": {"live"},
    "httpx": {"live"},
    "prometheus_client": {"live"},
}


def _package(path: Path) -> str:
    return path.relative_to(TWIN).parts[0].removesuffix(".py")


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All of a module but what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _runtime_nodes(node)


def _imports(path: Path) -> set[str]:
    """What a module imports at run time, inside functions as well."""
    names: set[str] = set()
    for node in _runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module in {"twin", *(f"twin.{name}" for name in INSIDE)}:
                names.discard(node.module)
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _module(path: Path) -> str:
    """The name by which a file is imported."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def _graph(paths: list[Path]) -> dict[str, set[str]]:
    """The modules among `paths` that each of them imports at run time.

    An import of a name counts as one of the module that is named most exactly. That a module's
    packages are imported before it does not count.
    """
    graph: dict[str, set[str]] = {_module(path): set() for path in paths}
    for path in paths:
        for node in _runtime_nodes(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} has a relative import"
                parts = (f"{node.module}.{alias.name}" for alias in node.names)
                names = [part if part in graph else str(node.module) for part in parts]
            graph[_module(path)] |= graph.keys() & names
    return graph


def _shortest_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of the shortest cycle, the first one once more at its end; none: empty."""
    shortest: list[str] = []
    for start in sorted(graph):
        paths, seen = deque([[start]]), {start}
        while paths:
            path = paths.popleft()
            if start in graph[path[-1]]:
                if not shortest or len(path) < len(shortest) - 1:
                    shortest = [*path, start]
                break
            new = sorted(graph[path[-1]] - seen)
            seen.update(new)
            paths.extend([*path, name] for name in new)
    return shortest


MODULES = sorted(path for path in TWIN.rglob("*.py") if path != TWIN / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TWIN)))
def test_imports_go_one_way(path: Path) -> None:
    package = _package(path)
    assert package in ORDER, f"give the package '{package}' its place in the order"
    for name in _imports(path):
        other = name.split(".")[1] if name.startswith("twin.") else package
        if other in ORDER:
            assert ORDER.index(other) <= ORDER.index(package), f"{package} imports {name}"
        outside = name.split(".")[0]
        assert package in ONLY_IN.get(outside, {package}), f"{package} imports {outside}"
        assert outside not in {"tensorflow", "keras", "tf2onnx"}, "only recipes need TensorFlow"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if _package(path) in INSIDE],
    ids=lambda path: str(path.relative_to(TWIN)),
)
def test_imports_inside_a_package_go_one_way(path: Path) -> None:
    package, part = path.relative_to(TWIN).with_suffix("").parts[:2]
    order, own = INSIDE[package], f"twin.{package}"
    for name in (name for name in _imports(path) if f"{name}.".startswith(f"{own}.")):
        others = name.removeprefix(own).split(".")[1:]
        assert others, f"{path.name} imports {own} itself, which has no place in the order"
        assert order.index(others[0]) <= order.index(part), f"{part} imports {name}"


def test_no_import_closes_a_cycle() -> None:
    cycle = _shortest_cycle(_graph(sorted(TWIN.rglob("*.py"))))
    assert not cycle, f"shortest cycle of imports: {' -> '.join(cycle)}"


def test_the_shortest_cycle_is_reported() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"b"}, "e": {"a"}}
    assert _shortest_cycle(graph) == ["b", "d", "b"]
    assert _shortest_cycle({"a": {"a"}}) == ["a", "a"]
    assert _shortest_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


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
        if _package(path) not in {"studies", "live", "cli"}:
            assert not [name for name in _imports(path) if name.startswith("twin.studies")], path
