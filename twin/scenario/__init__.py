"""Scenarios: what a user asked for, checked, with the line of every key."""
