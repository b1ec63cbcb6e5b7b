"""Results: records in memory, tables and files."""
