"""Writes what failures would have done: tables, scenario and manifest, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from twin.core.files import json_text
from twin.results.folder import MANIFEST, check_free, staged
from twin.results.manifest import manifest
from twin.studies.contingency.study import Contingencies


def save(study: Contingencies, folder: Path, *, force: bool = False) -> Path:
    """Write all files to `folder`, or none after an error.

    Raises InputError where the folder holds anything and `force` is false.
    """
    check_free(folder, force=force)
    result = study.result
    resolved, recording = result.resolved_scenario(), result.recording
    with staged(folder) as stage:
        (stage / "scenario.yaml").write_text(resolved, encoding="utf-8")
        for name, table in (("failures", study.failures), ("worst_cases", study.worst_cases)):
            table.to_csv(stage / f"{name}.csv", index=False, lineterminator="\n")
        files = sorted(file.name for file in stage.iterdir())
        digest = hashlib.sha256(resolved.encode()).hexdigest()
        facts = manifest(result.scenario, digest, files, study.wall_time_s, recording.forecasts, {})
        facts["contingencies"] = study.failures["failure"].nunique() - 1
        facts["intervals_skipped"] = study.skipped
        (stage / MANIFEST).write_text(json_text(facts), encoding="utf-8")
    return folder
