"""Training: windows from traces, recipes fitted on them, models and their cards written."""
