"""Raises."""

raise RuntimeError("out of\nluck")
