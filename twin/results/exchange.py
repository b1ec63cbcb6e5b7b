"""Puts what was written to a folder in the place of the run that is there, also where it is killed.

Files are written to a folder within it, on its own file system. Once all are there it is renamed,
which decides: before, the folder is as it was; after, whoever uses it next finishes what is left to
move. The manifest goes first and comes last, so that a folder with one is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

from twin.core.errors import InputError, Problem
from twin.core.files import digest_of, locked
from twin.results.manifest_file import MANIFEST, Facts, is_run, names_in, parsed

_LOCK: Final = ".twin-lock"
_UNFINISHED: Final = ".twin-unfinished"
_DECIDED: Final = ".twin-decided"
_REPLACED: Final = ".replaced.json"
"""In the decided folder: the manifest of the run that gives way."""


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """Give an empty folder within `folder`, which is made if need be, while all others wait.

    What processes that died left there is finished where that was decided, and goes otherwise.
    Raises InputError where the folder cannot be written to.
    """
    with ExitStack() as stack:
        with writable(folder):
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                stack.callback(_remove_empty, folder)
            stack.enter_context(locked(folder / _LOCK, wait=True))
            _finish(folder)
            stage = folder / _UNFINISHED
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
            stack.callback(shutil.rmtree, stage, ignore_errors=True)
        yield stage


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into InputError."""
    try:
        yield
    except OSError as error:
        what = f"--out: cannot be written: {error.strerror}"
        raise InputError(Problem(what, file=folder)) from None


def replace(folder: Path, stage: Path) -> None:
    """Move all files of a stage, a manifest among them, to its folder.

    The files of the run that is there go, unless the new manifest lists them or they were changed
    since they were written. No link is followed. Raises InputError before anything is touched where
    another file is in the way, and where the folder cannot be written to.
    """
    there = parsed(folder / MANIFEST) if is_run(folder) else None
    _check_places(folder, names_in(stage), {} if there is None else _listed(folder, there))
    with writable(folder):
        stage.rename(folder / _DECIDED)
        try:
            _finish(folder)
        except KeyboardInterrupt:
            _finish(folder)
            raise


def finish_decided(folder: Path) -> None:
    """Finish what a process that died had decided on, if there is any. Raises InputError."""
    if _is_folder(folder / _DECIDED):
        with alone(folder):
            pass


def unfinished(folder: Path) -> bool:
    """Return whether something is being written to the folder, or was when its process died."""
    return _is_folder(folder / _UNFINISHED)


def others(folder: Path) -> set[str]:
    """Return the names in a folder that are not of an exchange."""
    return {path.name for path in folder.iterdir()} - {_LOCK, _UNFINISHED, _DECIDED}


def _finish(folder: Path) -> None:
    """Move what is decided to its folder; what was moved already stays."""
    decided = folder / _DECIDED
    if not _is_folder(decided):
        return
    if (decided / MANIFEST).exists():
        if (folder / MANIFEST).exists():
            (folder / MANIFEST).replace(decided / _REPLACED)
        _remove_replaced(folder, decided)
        names = [name for name in names_in(decided) if name != _REPLACED]
        for name in sorted(names, key=lambda name: PurePosixPath(name).name == MANIFEST):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (decided / name).replace(folder / name)
        (decided / MANIFEST).replace(folder / MANIFEST)
    shutil.rmtree(decided)


def _remove_replaced(folder: Path, decided: Path) -> None:
    """Remove the files of the run that gives way, and the folders that are empty without them."""
    if not (decided / _REPLACED).exists():
        return
    kept = parsed(decided / MANIFEST)["files"]
    emptied: set[PurePosixPath] = set()
    for name, digest in _listed(folder, parsed(decided / _REPLACED)).items():
        # The manifest of a folder within goes as well before its files change.
        goes = name not in kept or (name.endswith(f"/{MANIFEST}") and (decided / name).exists())
        if goes and _is_plain(folder, name) and digest_of(folder / name) == digest:
            (folder / name).unlink()
            emptied.update(PurePosixPath(name).parents[:-1])
    for part in sorted(emptied, key=lambda part: len(part.parts), reverse=True):
        _remove_empty(folder / part)


def _listed(folder: Path, facts: Facts) -> dict[str, str]:
    """Return the files of a run with their digests, those of runs within it by their manifests."""
    files: dict[str, str] = dict(facts["files"])
    for name in facts["files"]:
        within = PurePosixPath(name).parent
        if name == str(within / MANIFEST) and _is_plain(folder, name) and is_run(folder / within):
            own = _listed(folder / within, parsed(folder / name))
            files |= {str(within / each): digest for each, digest in own.items()}
            files[name] = digest_of(folder / name)
    return files


def _check_places(folder: Path, names: Iterable[str], listed: dict[str, str]) -> None:
    """Raise InputError where a file cannot go to its place."""
    for name in names:
        for parent in [folder / part for part in PurePosixPath(name).parents[:-1]]:
            if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
                kind = "link, which is not followed" if parent.is_symlink() else "file, no folder"
                raise InputError(Problem(f"--out: is a {kind}", file=parent))
        place = folder / name
        if (place.exists() or place.is_symlink()) and (name not in listed or _is_folder(place)):
            what, remedy = "--out: is in the way, and is no file of the run there", "move it away"
            raise InputError(Problem(what, file=place, suggestion=remedy))


def _is_plain(folder: Path, name: str) -> bool:
    """Return whether a file is there, and neither it nor a folder on the way is a link."""
    file = folder / name
    on_the_way = [folder / part for part in PurePosixPath(name).parents[:-1]]
    return file.is_file() and not any(path.is_symlink() for path in (file, *on_the_way))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
