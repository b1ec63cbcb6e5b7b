"""Writes a comparison of lead times: table, picture, report and manifest, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from twin.results.folder import staged
from twin.results.manifest import forecast_facts, manifest
from twin.results.manifest_file import write_manifest
from twin.studies.lead_times.compare import LeadTimes
from twin.studies.lead_times.figure import draw
from twin.studies.lead_times.page import render


def save(study: LeadTimes, folder: Path, *, force: bool = False, report: bool = True) -> Path:
    """Write all files to `folder`, or none after an error; picture and page with `report` alone.

    Raises InputError where the folder holds anything and `force` is false.
    """
    scenario = study.scenario
    with staged(folder, force=force) as stage:
        (stage / "scenario.yaml").write_text(study.resolved, encoding="utf-8")
        study.table.to_csv(stage / "lead_times.csv", index=False, lineterminator="\n")
        if report:
            (stage / "figures").mkdir()
            picture = stage / "figures" / "lead_times.png"
            draw(study, picture)
            page = render(study, picture.read_bytes())
            (stage / "report.html").write_text(page, encoding="utf-8", newline="\n")
        digest = hashlib.sha256(study.resolved.encode()).hexdigest()
        first = next(iter(study.forecasts.values()))
        facts = manifest(scenario, digest, study.wall_time_s, first, {}) | {
            "lead_times_s": study.lead_times,
            "forecasts": {
                f"{lead:g}": forecast_facts(used) for lead, used in study.forecasts.items()
            },
        }
        write_manifest(stage, facts)
    return folder
