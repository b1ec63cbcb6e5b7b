"""Policies: what one is, what it sees, and how a file becomes one."""
