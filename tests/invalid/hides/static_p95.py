"""Has the name of a shipped policy."""
