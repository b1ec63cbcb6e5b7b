"""Runs made by workers, and kept in a journal as soon as they are finished."""
