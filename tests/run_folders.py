"""Small runs in folders, for tests that look at files alone."""

from __future__ import annotations

from pathlib import Path

from twin.results.folder import staged
from twin.results.manifest_file import write_manifest


def put(folder: Path, *names: str, force: bool = False, text: str = "") -> None:
    """Write a run of some files to a folder."""
    with staged(folder, force=force) as stage:
        for name in names:
            (stage / name).parent.mkdir(exist_ok=True)
            (stage / name).write_text(text or name)
        write_manifest(stage, {"status": "complete", "versions": {"twin": "1"}})


def names(folder: Path) -> set[str]:
    """Return all names in a folder, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
