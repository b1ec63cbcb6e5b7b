"""What everything else stands on: errors, units, files, and how values are checked."""
