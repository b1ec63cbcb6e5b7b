"""Reads a comparison of lead times from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from twin.report.files import check_numbers, read_table, readable
from twin.results.folder import facts_of
from twin.results.manifest_file import check_file
from twin.studies.lead_times.compare import FIRST, LeadTimeTable

_NEEDED: Final = (*FIRST, "over_provisioning_pct", "over_provisioning_mean_mbps",
                  "sla_violation_rate")  # fmt: skip
_BOUND: Final = {"True": True, "False": False}


def read(folder: Path) -> LeadTimeTable | None:
    """Return the comparison in `folder`, None where it holds something else. Raises InputError."""
    facts = facts_of(folder)
    if "lead_times_s" not in facts:
        return None
    file = check_file(folder, facts, "lead_times.csv")
    table = read_table(file, _NEEDED, ("policy", "bound"))
    with readable(file):
        table["bound"] = [_BOUND[text] for text in table["bound"]]
        check_numbers(table, ("lead_time_s", "links_within_sla", "links_missing_sla"))
        if table.empty:
            raise ValueError("has no rows")
        return LeadTimeTable(str(facts["name"]), table)
