"""The living twin over HTTP: telemetry in, state and answers out, a page to look at."""
