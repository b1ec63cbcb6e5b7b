"""Formats of telemetry: bytes become samples. Each is bounded, and says what it does not take."""
