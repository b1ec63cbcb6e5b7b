"""From finished runs to tables, means with their intervals, and whether a point needs more runs."""
