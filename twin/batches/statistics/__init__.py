"""What finished runs say: tables, means with their intervals, and when a point has enough runs."""
