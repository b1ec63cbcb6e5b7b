"""Batches: many runs of one scenario, that finish, resume and compare."""
