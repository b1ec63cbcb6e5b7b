"""Writes a frontier as a table and a picture, or neither."""

from __future__ import annotations

from pathlib import Path

from twin.results.folder import staged
from twin.results.manifest import study_manifest
from twin.results.manifest_file import write_manifest
from twin.studies.frontier.figure import draw
from twin.studies.frontier.sweep import Frontier


def save(frontier: Frontier, folder: Path, *, force: bool = False) -> Path:
    """Write `frontier.csv` and `figures/frontier.png` to `folder`: both, or none after an error.

    Raises InputError where the folder holds anything and `force` is false.
    """
    with staged(folder, force=force) as stage:
        write(frontier, stage)
        write_manifest(stage, study_manifest("a frontier", frontier.scenario.spec.name))
    return folder


def write(frontier: Frontier, folder: Path) -> None:
    """Write `frontier.csv` and `figures/frontier.png` to a folder."""
    frontier.points.to_csv(folder / "frontier.csv", index=False, lineterminator="\n")
    (folder / "figures").mkdir(exist_ok=True)
    draw(frontier, folder / "figures" / "frontier.png")
