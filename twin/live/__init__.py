"""The living twin: telemetry in as it comes, decisions out, everything on disk."""
