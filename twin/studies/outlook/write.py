"""Writes an outlook: tables, page, scenario and manifest, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from twin.demand.growth import growths_text
from twin.results.folder import staged
from twin.results.manifest import study_manifest
from twin.results.manifest_file import write_manifest
from twin.studies.outlook.page import render
from twin.studies.outlook.study import Outlook
from twin.studies.outlook.tables import link_table, spend_table, upgrade_table


def save(
    outlook: Outlook, resolved: str, folder: Path, *, force: bool = False, report: bool = True
) -> Path:
    """Write all files to `folder`, or none after an error; `resolved` is the scenario as YAML.

    Raises InputError where the folder holds anything and `force` is false.
    """
    tables = {
        "outlook": link_table(outlook),
        "upgrades": upgrade_table(outlook),
        "spend": spend_table(outlook),
    }
    with staged(folder, force=force) as stage:
        (stage / "scenario.yaml").write_text(resolved, encoding="utf-8", newline="\n")
        for name, table in tables.items():
            table.to_csv(stage / f"{name}.csv", index=False, lineterminator="\n")
        if report:
            page = render(outlook, resolved)
            (stage / "report.html").write_text(page, encoding="utf-8", newline="\n")
        write_manifest(stage, _facts(outlook, resolved))
    return folder


def _facts(outlook: Outlook, resolved: str) -> dict[str, Any]:
    scenario, spec, end = outlook.scenario, outlook.spec, outlook.end
    return study_manifest("an outlook", scenario.spec.name) | {
        "seed": scenario.spec.seed,
        "scenario": {"sha256": hashlib.sha256(resolved.encode()).hexdigest()},
        "trace": {
            "origin": scenario.trace.origin,
            "sha256": scenario.trace.digest,
            "repairs": list(scenario.trace.repairs),
        },
        "outlook": {
            "from": None if end is None else end.isoformat(),
            "for": spec.ahead.text,
            "at": spec.at,
            "of": spec.of.name,
            "over_s": spec.over_s,
            "growth": None if spec.growth is None else growths_text(spec.growth),
            "curve": spec.curve,
            "failures": outlook.failures,
        },
        "warnings": list(outlook.notes),
        "wall_time_s": round(outlook.wall_time_s, 3),
    }
