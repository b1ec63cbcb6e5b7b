"""What MkDocs calls while it builds the site: adds the pages that are made from the code.

The reference is made from what the program checks and lists, so that it cannot say anything else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import gallery  # noqa: E402
import notebooks  # noqa: E402
import reference  # noqa: E402
import runs  # noqa: E402

PAGES: dict[str, Callable[[], str]] = {
    "index.md": lambda: home((ROOT / "README.md").read_text(encoding="utf-8")),
    "reference/scenario.md": reference.scenario,
    "reference/events.md": reference.events,
    "reference/sweep.md": reference.sweep,
    "reference/policies.md": reference.policies,
    "reference/metrics.md": reference.metrics,
    "reference/commands.md": reference.commands,
    "reference/python.md": reference.python,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    for name, content in gallery.pages():
        files.append(File.generated(config, name, content=content))
    for path in sorted(notebooks.HERE.glob("*.ipynb")):
        _notebook(path, files, config)
    for file in files.documentation_pages():
        text = file.content_string
        if runs.has_commands(text):
            _run(file, text, files, config)
    return files


def _notebook(path: Path, files: Files, config: MkDocsConfig) -> None:
    """Add a notebook as a page, with what its cells show."""
    page = notebooks.run(path)
    made = {f"{path.stem}.md": page.text, **page.pictures}
    for name, content in made.items():
        files.append(File.generated(config, f"notebooks/{name}", content=content))


def _run(file: File, text: str, files: Files, config: MkDocsConfig) -> None:
    """Replace a page by one that shows what its commands print and draw."""
    beside = (ROOT / "docs" / file.src_uri).with_suffix("")
    page = runs.run_page(text, Path(file.src_uri).stem, beside)
    file.content_string = page.text
    for name, picture in page.pictures.items():
        place = Path(file.src_uri).parent / name
        files.append(File.generated(config, place.as_posix(), content=picture))


def home(readme: str) -> str:
    """Return the README with its links as they are from within `docs/`."""
    return re.sub(r"\]\(docs/", "](", readme)
