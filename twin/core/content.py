"""Content: policies, scenarios and models, found by file name.

Shipped content lies in the top-level folders of a checkout, and in ``twin/_content`` of an
installed wheel. A user's own lies in the folder of the scenario that names it, or in a
``policies/`` or ``models/`` folder there. The working directory is never searched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from twin.core.errors import InputError, Loc, Problem, did_you_mean

Kind = Literal["policies", "scenarios", "models"]

SUFFIX: dict[Kind, str] = {"policies": ".py", "scenarios": ".yaml", "models": ".onnx"}
_SINGULAR: dict[Kind, str] = {"policies": "policy", "scenarios": "scenario", "models": "model"}


def shipped_folder(kind: Kind) -> Path:
    """Return the folder of the shipped content of `kind`."""
    package = Path(__file__).resolve().parents[1]
    packed = package / "_content" / kind
    return packed if packed.is_dir() else package.parent / kind


def shipped(kind: Kind) -> dict[str, Path]:
    """Return the shipped content of `kind`, sorted by name."""
    files = shipped_folder(kind).glob(f"*{SUFFIX[kind]}")
    return {file.stem: file for file in sorted(files)}


def is_path(kind: Kind, text: str) -> bool:
    """Return whether `text` names a file rather than a piece of content."""
    return "/" in text or "\\" in text or text.endswith(SUFFIX[kind])


def find(kind: Kind, text: str, folder: Path | None, where: Loc) -> Path:
    """Return the file that `text`, a name or a path, stands for in a scenario of `folder`.

    Raises InputError where there is none, and where a user's file hides a shipped name.
    """
    if is_path(kind, text):
        path = (folder or Path()) / text
        if path.suffix != SUFFIX[kind]:
            what = f"'{text}' is not a {_SINGULAR[kind]}: its name must end in {SUFFIX[kind]}"
            raise InputError(Problem(what, where))
        if is_file(path):
            return path
        names = [file.name for file in path.parent.glob(f"*{SUFFIX[kind]}")]
        what = f"no such file: '{text}'"
        raise InputError(Problem(what, where, suggestion=did_you_mean(path.name, names)))
    library = shipped(kind)
    own = _own(kind, text, folder)
    if own is None and text in library:
        return library[text]
    if own is None:
        known = {*library, *(file.stem for file in _own_files(kind, folder))}
        raise InputError(
            Problem(
                f"no {_SINGULAR[kind]} '{text}'",
                where,
                suggestion=did_you_mean(text, known) or f"there are: {', '.join(sorted(known))}",
            )
        )
    if text in library and not own.samefile(library[text]):
        raise InputError(
            Problem(
                f"'{text}' is both a shipped {_SINGULAR[kind]} and your file {own.name}",
                where,
                suggestion=f"name your file by path, './{own.relative_to(folder or Path())}', "
                "or rename it",
            )
        )
    return own


def is_file(path: Path) -> bool:
    """Return whether there is a file; no name is too long or too odd to ask."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; no name is too long or too odd to ask."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _own_files(kind: Kind, folder: Path | None) -> list[Path]:
    if folder is None or folder == shipped_folder("scenarios"):
        return []
    pattern = f"*{SUFFIX[kind]}"
    return [*folder.glob(f"{kind}/{pattern}"), *folder.glob(pattern)]


def _own(kind: Kind, name: str, folder: Path | None) -> Path | None:
    return next((file for file in _own_files(kind, folder) if file.stem == name), None)
