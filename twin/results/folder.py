"""A run's folder: every file whole or not there, the manifest last."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twin.errors import InputError, Problem

MANIFEST = "manifest.json"


def check_free(folder: Path, *, force: bool) -> None:
    """Raise InputError where a run cannot be written to `folder`."""
    try:
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

    Files of `folder` with other names are left alone. After an error `folder` is as before.
    Raises InputError where the folder cannot be written to.
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


def _move(stage: Path, folder: Path) -> None:
    # The umask decides who may read a folder, as with any other; mkdtemp makes it private.
    folder.mkdir(exist_ok=True)
    # A manifest says that the folder's files belong together: it goes first and comes last.
    (folder / MANIFEST).unlink(missing_ok=True)
    files = sorted((f for f in stage.rglob("*") if f.is_file()), key=lambda f: f.name == MANIFEST)
    for file in files:
        target = folder / file.relative_to(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
