"""The folder of a run: who may write to it, and what its manifest says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twin.core.errors import InputError, Problem, one_line
from twin.core.files import is_text
from twin.results.exchange import alone, finish_decided, others, replace, unfinished, writable
from twin.results.manifest import check_manifest
from twin.results.manifest_file import MANIFEST, Facts, is_run, parsed, write_manifest


def check_free(folder: Path, *, force: bool) -> Path:
    """Return where `folder` is, whatever the working directory becomes, if it may be written to.

    With `force` a run that is there gives way. Raises InputError where it may not.
    """
    try:
        place = folder.absolute()
        if not is_text(str(place)):
            raise InputError(Problem(f"--out: {str(place)!a} is not text in UTF-8"))
        if folder.is_symlink() and not folder.exists():
            raise InputError(Problem("--out: is a link to a place that is not there", file=folder))
        if folder.exists() and not folder.is_dir():
            raise InputError(Problem("--out: is a file, not a folder", file=folder))
        if not folder.is_dir():
            _check_parent(place, folder)
            return place
        names, run = _held(place)
        if names and not run:
            # Perhaps those of a run that was being moved there just now.
            names, run = _held(place)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise InputError(Problem(f"--out: cannot be used: {what}", file=folder)) from None
    if not names or (run and force):
        return place
    what = "--out: holds another run" if run else "--out: is not empty, and holds no run"
    remedy = "choose another folder" + ", or add --force" * run
    raise InputError(Problem(what, file=folder, suggestion=remedy))


@contextmanager
def staged(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a folder to write to, whose files move to `folder` once all are written.

    The last of them is the manifest, by :func:`write_manifest`. With `force` the files of a run
    that was there go, all others stay. After an error while writing `folder` is as before. Raises
    InputError where the folder cannot be written to.
    """
    place = check_free(folder, force=force)
    with alone(place) as stage:
        # Another process may have been at work there until now.
        check_free(place, force=force)
        yield stage
        replace(place, stage)


@contextmanager
def added(folder: Path) -> Iterator[Path]:
    """Give a folder to write to, whose files join those of the run in `folder`.

    The manifest lists them, so that a run that replaces this one takes them away. After an error
    while writing `folder` is as before. Raises InputError where it cannot be written to.
    """
    place = folder.absolute()
    with alone(place) as stage:
        yield stage
        facts = facts_of(place)
        with writable(place):
            write_manifest(stage, facts, facts["files"])
        replace(place, stage)


def read_manifest(folder: Path) -> Facts:
    """Return the manifest of the run in `folder`. Raises InputError where it is no run's folder."""
    facts = facts_of(folder)
    if "branches" in facts:
        futures = ", ".join(map(str, facts["branches"]))
        what = f"holds the futures of a fork, a folder for each: {futures}"
        raise InputError(Problem(what, file=folder, suggestion="name one of these"))
    if "lead_times_s" in facts:
        what = "holds a comparison of lead times, not one run"
        remedy = "its report.html is written by 'twin run --lead-times'; --slide makes a slide"
        raise InputError(Problem(what, file=folder, suggestion=remedy))
    if "study" in facts:
        raise InputError(Problem(f"holds {facts['study']}, not a run", file=folder))
    check_manifest(facts, folder / MANIFEST)
    return facts


def files_of(folder: Path) -> list[str]:
    """Return the files of the run in `folder`, as its manifest lists them."""
    return list(parsed(folder / MANIFEST)["files"]) if is_run(folder) else []


def facts_of(folder: Path) -> Facts:
    """Return the manifest of what is in `folder`. Raises InputError where there is none."""
    file = folder / MANIFEST
    try:
        finish_decided(folder.absolute())
        # A future's folder is replaced with that of the whole fork.
        finish_decided(folder.absolute().parent)
        return parsed(file)
    except (FileNotFoundError, NotADirectoryError):
        what, remedy = f"is not the folder of a run: no {MANIFEST}", ""
        if unfinished(folder):
            what, remedy = "holds a run that was not finished", "run it again"
        raise InputError(Problem(what, file=folder, suggestion=remedy)) from None
    except (OSError, ValueError, TypeError) as error:
        what = getattr(error, "strerror", None) or one_line(str(error))
        raise InputError(Problem(f"cannot be read: {what}", file=file)) from None


def _held(folder: Path) -> tuple[set[str], bool]:
    """Return the names in a folder, and whether it holds a run."""
    finish_decided(folder)
    return others(folder), is_run(folder)


def _check_parent(place: Path, shown: Path) -> None:
    """Raise InputError where a folder cannot be made."""
    parent = next(path for path in place.parents if path.exists())
    if not parent.is_dir():
        raise InputError(Problem(f"--out: {parent.name} is a file, not a folder", file=shown))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(Problem("--out: cannot be written: Permission denied", file=shown))
