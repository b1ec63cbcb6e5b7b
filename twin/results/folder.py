"""A run's folder: every file whole or not there, the manifest last."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twin.core.errors import InputError, Problem, one_line
from twin.core.files import json_text

MANIFEST = "manifest.json"


def check_free(folder: Path, *, force: bool) -> None:
    """Raise InputError where a run cannot be written to `folder`."""
    try:
        if folder.is_symlink() and not folder.exists():
            raise InputError(Problem("--out: is a link to a place that is not there", file=folder))
        if folder.exists() and not folder.is_dir():
            raise InputError(Problem("--out: is a file, not a folder", file=folder))
        if force or not folder.is_dir() or not any(folder.iterdir()):
            return
    except OSError as error:
        raise InputError(Problem(f"--out: cannot be used: {error.strerror}", file=folder)) from None
    holds = "holds another run" if (folder / MANIFEST).exists() else "is not empty"
    raise InputError(
        Problem(f"--out: {holds}", file=folder, suggestion="choose another folder, or add --force")
    )


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a folder to write to, whose files move to `folder` once all are written.

    The files of a run that was there go, all others stay. After an error while writing `folder`
    is as before. Raises InputError where the folder cannot be written to.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(
            Problem(f"--out: cannot be written: {error.strerror}", file=folder)
        ) from None
    try:
        yield stage
        _move(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def added(folder: Path) -> Iterator[Path]:
    """Give a folder to write to, whose files join those of the run in `folder`.

    The manifest lists them, so that a run that replaces this one takes them away. After an error
    while writing `folder` is as before. Raises InputError where it cannot be written to.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".added-", dir=folder) as scratch:
            stage = Path(scratch)
            yield stage
            files = sorted(str(f.relative_to(stage)) for f in stage.rglob("*") if f.is_file())
            facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            listed = sorted({*facts.get("files", ()), *files})
            if listed != facts.get("files"):
                text = json_text(facts | {"files": listed})
                (stage / MANIFEST).write_text(text, encoding="utf-8")
                files.append(MANIFEST)
            for name in files:
                (folder / name).parent.mkdir(exist_ok=True)
                (stage / name).replace(folder / name)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", file=folder)) from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the run in `folder`. Raises InputError where it is no run's folder."""
    file = folder / MANIFEST
    if not file.is_file():
        raise InputError(Problem(f"is not the folder of a run: no {MANIFEST}", file=folder))
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        futures = ", ".join(map(str, facts.get("branches", ())))
        compared = "lead_times_s" in facts
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(Problem(f"cannot be read: {one_line(str(error))}", file=file)) from None
    if futures:
        what = f"holds the futures of a fork, a folder for each: {futures}"
        raise InputError(Problem(what, file=folder, suggestion="name one of these"))
    if compared:
        what = "holds a comparison of lead times, not one run"
        remedy = "its report.html is written by 'twin run --lead-times'"
        raise InputError(Problem(what, file=folder, suggestion=remedy))
    return facts


def files_of(folder: Path) -> list[str]:
    """Return the files of the run in `folder`, as its manifest lists them."""
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        paths = [Path(name) for name in names]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [str(p) for p in paths if not p.is_absolute() and ".." not in p.parts]


def _move(stage: Path, folder: Path) -> None:
    # The umask decides who may read a folder, as with any other; mkdtemp makes it private.
    folder.mkdir(exist_ok=True)
    # A manifest says that the folder's files belong together: it goes first and comes last.
    for old in files_of(folder):
        (folder / old).unlink(missing_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    files = sorted((f for f in stage.rglob("*") if f.is_file()), key=lambda f: f.name == MANIFEST)
    for file in files:
        target = folder / file.relative_to(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
