"""The file of a manifest: it lists all files beside it with their digests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from twin.core.errors import InputError, Problem
from twin.core.files import digest_of, json_text

MANIFEST: Final = "manifest.json"

Facts = dict[str, Any]


def write_manifest(
    folder: Path, facts: Mapping[str, Any], listed: Mapping[str, str] | None = None
) -> None:
    """Write the manifest of a run, once all other files are in `folder`, or are those `listed`.

    It lists each with its SHA-256, by which whoever reads it tells whether it was changed.
    """
    digests = {name: digest_of(folder / name) for name in names_in(folder)}
    text = json_text({**facts, "files": dict(sorted({**(listed or {}), **digests}.items()))})
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="\n")


def parsed(file: Path) -> Facts:
    """Return the manifest in a file. Raises OSError, and ValueError where it is none of ours."""
    if not file.is_file():
        file.stat()
        raise ValueError("is not a file")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(facts, dict):
        raise ValueError("is no block of keys")
    versions, files = facts.get("versions"), facts.get("files")
    if not isinstance(versions, dict) or "twin" not in versions:
        raise ValueError("is not the manifest of a run")
    if facts.get("status") != "complete":
        raise ValueError("does not say that its run is complete")
    if not isinstance(files, dict) or not all(isinstance(each, str) for each in files.values()):
        raise ValueError("does not list its files, each with its digest")
    outside = next((name for name in files if not _is_within(name)), None)
    if outside is not None:
        raise ValueError(f"lists '{outside}', which lies outside of the folder")
    return facts


def is_run(folder: Path) -> bool:
    """Return whether the folder has a manifest of ours."""
    try:
        return bool(parsed(folder / MANIFEST))
    except (OSError, ValueError):
        return False


def check_file(folder: Path, facts: Facts, name: str) -> Path:
    """Return a file that a manifest lists. Raises InputError where it is not what was written."""
    file = folder / name
    if name not in facts["files"]:
        raise InputError(Problem(f"is not one of the files that {MANIFEST} lists", file=file))
    try:
        if file.exists() and not file.is_file():
            raise InputError(Problem("cannot be read: is not a file", file=file))
        digest = digest_of(file)
    except FileNotFoundError:
        raise InputError(Problem("is missing from the run's folder", file=file)) from None
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=file)) from None
    if digest != facts["files"][name]:
        what = f"cannot be read: it is not the one that {MANIFEST} is of"
        raise InputError(Problem(what, file=file))
    return file


def names_in(folder: Path) -> Iterator[str]:
    """Yield the names of all files in a folder and its own, apart from the folder's manifest."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return (path.as_posix() for path in sorted(files) if path.as_posix() != MANIFEST)


def _is_within(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
