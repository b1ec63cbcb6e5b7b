"""Telemetry: what is measured of the flows and when it is known, from a trace or as it comes."""
