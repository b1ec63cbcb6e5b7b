"""Pages whose commands are run: what they print and draw is put where the commands stand.

A page may hold files, as code blocks with a title, and commands, as blocks `console` whose lines
begin with `$ twin`. They are written and run in order, in a folder of the page's own, which holds
the files of the folder beside the page that has its name; a picture whose path begins with `out/`
is taken from there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_BLOCK: Final = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_PICTURE: Final = re.compile(r"!\[([^\]]*)\]\((out/[^)]+)\)")
_WIDTH: Final = "100"
_LIMIT_S: Final = 300


@dataclass
class RunPage:
    """A page after its commands were run."""

    text: str
    pictures: dict[str, bytes] = field(default_factory=dict)
    """By their names within the site, beside the page."""


class CommandFailedError(Exception):
    """A command of a page did not end as the page says."""


def has_commands(text: str) -> bool:
    """Return whether a page has commands to run."""
    return any(kind == "console" for kind, _, _ in _BLOCK.findall(text))


def run_page(text: str, name: str, beside: Path | None = None) -> RunPage:
    """Run the commands of a page called `name`, with copies of the files in the folder `beside`.

    Raises CommandFailedError for one that fails.
    """
    page = RunPage("")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if beside is not None and beside.is_dir():
            shutil.copytree(beside, work, dirs_exist_ok=True)

        def replaced(match: re.Match[str]) -> str:
            kind, title, body = match.groups()
            if kind == "console":
                return f"```console\n{_run(body, work)}```"
            if title:
                (work / title).write_text(body, encoding="utf-8")
            return match[0]

        def taken(match: re.Match[str]) -> str:
            picture = f"{name}-{Path(match[2]).parts[1]}-{Path(match[2]).name}"
            page.pictures[picture] = (work / match[2]).read_bytes()
            return f"![{match[1]}]({picture})"

        page.text = _PICTURE.sub(taken, _BLOCK.sub(replaced, text))
    return page


def _run(body: str, work: Path) -> str:
    """Run the commands of a block, each a line; return them with what they print.

    That is what goes to standard output, or, where nothing does, to standard error.
    """
    parts = []
    for line in body.splitlines():
        if not line.startswith("$ twin "):
            continue
        done = subprocess.run(
            f'"{sys.executable}" -m {line[2:]}',
            shell=True, cwd=work, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
            env=os.environ | {"COLUMNS": _WIDTH, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        )  # fmt: skip
        if done.returncode:
            raise CommandFailedError(
                f"{line}: exit {done.returncode}: {done.stderr or done.stdout}"
            )
        printed = "\n".join(each.rstrip() for each in (done.stdout or done.stderr).splitlines())
        parts.append(f"{line}\n{printed}\n")
    return "\n".join(parts)
