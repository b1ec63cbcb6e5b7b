"""Conformance: what every policy must keep to, tested on small scenarios."""

from __future__ import annotations

from twin.studies.conformance.checks import check
from twin.studies.conformance.report import Check, ConformanceReport

__all__ = ["Check", "ConformanceReport", "check"]
