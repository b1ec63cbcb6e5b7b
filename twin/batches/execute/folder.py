"""The folder of a batch: what may be in it, who works in it, and how its files are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.batches.plan.spec import SweepSpec
from twin.core.errors import InputError, Problem, RunError
from twin.core.files import is_locked, json_text, locked, write_whole
from twin.core.validation import problems_of

MANIFEST: Final = "batch.json"
"""The manifest. It is written first: a folder with this file belongs to a batch."""
RUNS: Final = "runs.parquet"
COMPARISONS: Final = "comparisons.csv"
BEST: Final = "best.csv"
INTERVALS: Final = "intervals"
"""Folder of the interval tables, one file for each run."""
_LOCK: Final = ".lock"


def check_batch(folder: Path) -> None:
    """Raise InputError where `folder` holds no batch."""
    if not (folder / MANIFEST).is_file():
        what = "holds no batch" if folder.is_dir() else "no such folder"
        raise InputError(Problem(what, file=folder, suggestion="'twin batch SWEEP' makes one"))


class _BatchManifest(BaseModel):
    """What readers of `batch.json` take from it."""

    model_config = ConfigDict(strict=True)

    name: str
    status: str
    file: str | None = None
    sweep: SweepSpec
    sweep_sha256: str | None = None
    sla_target: float = 0.0
    random: bool = True
    keys: list[str]
    policies: Annotated[list[str], Field(min_length=1)]
    bounds: list[str]
    points: int
    versions: dict[str, str | None]
    sha256: dict[str, str | None]


def read_batch(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a batch, None where it cannot be read.

    Raises InputError where it says what no batch says.
    """
    file = folder / MANIFEST
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    try:
        _BatchManifest.model_validate_json(json.dumps(facts))
    except ValidationError as error:
        first, remedy = problems_of(error)[0], "'twin batch' with the batch's sweep makes it again"
        raise InputError(replace(first, file=file, suggestion=remedy)) from None
    return facts


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep every other batch out of the folder, which is made if it is not there.

    The lock ends with the process, however that ends. Raises InputError where another batch works
    in the folder, where the folder holds anything else, or where it cannot be written to.
    """
    with ExitStack() as stack:
        try:
            _check_ours(folder)
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / _LOCK))
        except BlockingIOError:
            what, remedy = "--out: another batch is at work there", "wait for it to end"
            raise InputError(Problem(what, file=folder, suggestion=remedy)) from None
        except OSError as error:
            what = f"--out: cannot be written: {error.strerror}"
            raise InputError(Problem(what, file=folder)) from None
        yield


def _check_ours(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(Problem("--out: is a file, not a folder", file=folder))
    if not folder.is_dir() or (folder / MANIFEST).exists():
        return
    names = {path.name for path in folder.iterdir()}
    if any(name != _LOCK and not name.startswith(f".{MANIFEST}-") for name in names):
        what, remedy = "--out: holds something that is no batch", "choose another folder"
        raise InputError(Problem(what, file=folder, suggestion=remedy))


def remove_unfinished(folder: Path) -> list[str]:
    """Remove files that a batch was writing when it died; return a sentence for each."""
    sentences = []
    for pattern in (
        f".{MANIFEST}-*",
        f".{RUNS}-*",
        f".{COMPARISONS}-*",
        f".{BEST}-*",
        f"{INTERVALS}/.*-*",
    ):
        for file in sorted(folder.glob(pattern)):
            file.unlink(missing_ok=True)
            # A lock that nobody holds is no loss.
            if not file.name.endswith("-lock"):
                sentences.append(f"{file}: was half written: removed")
    return sentences


def at_work(folder: Path) -> bool:
    """Return whether a batch is at work in the folder."""
    return is_locked(folder / _LOCK)


def put(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file of a batch, whole or not at all. Raises RunError where there is no room."""
    try:
        file.parent.mkdir(exist_ok=True)
        write_whole(file, write)
    except OSError as error:
        raise RunError(f"{file}: cannot be written: {error.strerror}") from None


def put_json(file: Path, facts: dict[str, Any]) -> None:
    """Write facts as JSON, whole or not at all."""
    put(file, lambda stream: stream.write(json_text(facts).encode()))
