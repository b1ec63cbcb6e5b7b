"""Conformance: what every policy must stand, tried out on small worlds."""

from __future__ import annotations

from twin.studies.conformance.checks import check
from twin.studies.conformance.report import Check, Report

__all__ = ["Check", "Report", "check"]
