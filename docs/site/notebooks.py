"""Notebooks as pages: their cells are run as they stand, and what they show is put below them.

No kernel is needed: a cell is Python and nothing else, run in a module of its own. What its last
line comes to is shown as a notebook would: a table, a figure, or text.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent.parent / "notebooks"
DATA: Final = HERE.parent / "tutorial"
"""What notebooks read, by its path beside their folder."""


class Cell(NamedTuple):
    """A cell of a notebook."""

    kind: str
    """``markdown`` or ``code``."""
    source: str


@dataclass
class NotebookPage:
    """A notebook after it was run."""

    text: str
    pictures: dict[str, bytes] = field(default_factory=dict)
    """By their names beside the page."""
    names: dict[str, Any] = field(default_factory=dict)
    """What its cells defined."""


def cells(path: Path) -> list[Cell]:
    """Return the cells of a notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [
        Cell(cell["cell_type"], "".join(cell["source"]).strip("\n")) for cell in notebook["cells"]
    ]


def run(path: Path) -> NotebookPage:
    """Run a notebook in a copy of its surroundings, and return it as a page."""
    page, parts = NotebookPage(""), []
    with _surroundings(path.stem) as module:
        for number, cell in enumerate(cells(path)):
            if cell.kind == "markdown":
                parts.append(cell.source)
                continue
            printed, value = _executed(cell.source, f"{path.name}, cell {number}", vars(module))
            parts += [f"```python\n{cell.source}\n```", *_shown(printed, value, path.stem, page)]
    page.text = "\n\n".join(parts) + "\n"
    page.names = dict(vars(module))
    return page


@contextlib.contextmanager
def _surroundings(name: str) -> Iterator[ModuleType]:
    """Enter a folder like that of the notebooks, and yield a module for the names of cells."""
    module, before = ModuleType(f"notebook_{name}"), Path.cwd()
    sys.modules[module.__name__] = module
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / HERE.name
        work.mkdir()
        shutil.copytree(DATA, Path(folder) / DATA.name)
        os.chdir(work)
        try:
            yield module
        finally:
            os.chdir(before)
            del sys.modules[module.__name__]


def _executed(source: str, name: str, names: dict[str, Any]) -> tuple[str, Any]:
    """Run a cell; return what it prints, and what its last line comes to."""
    body, last = ast.parse(source, name).body, None
    if body and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";"):
        last = ast.Expression(body.pop().value)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        # Without the `from __future__` of this file.
        exec(compile(ast.Module(body, []), name, "exec", dont_inherit=True), names)
        value = None if last is None else eval(compile(last, name, "eval"), names)
    return printed.getvalue(), value


def _shown(printed: str, value: Any, stem: str, page: NotebookPage) -> Iterator[str]:
    if printed:
        yield f"```text\n{printed.rstrip()}\n```"
    if value is None:
        return
    if hasattr(value, "savefig"):
        stream, name = io.BytesIO(), f"{stem}-{len(page.pictures)}.png"
        value.savefig(stream, format="png", dpi=100, metadata={"Software": None})
        page.pictures[name] = stream.getvalue()
        yield f"![What the cell draws]({name})"
    elif hasattr(value, "_repr_html_"):
        yield value._repr_html_()
    else:
        yield f"```text\n{value!r}\n```"
