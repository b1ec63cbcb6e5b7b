"""What belongs to the whole process, and what a policy that runs in it leaves as it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def working_directory() -> str:
    """Return the working directory; empty where it has been removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - a Path would take longer than the decision
    except OSError:
        return ""


def restored(directory: str) -> str:
    """Put back what is not as it was, and return what that is; empty where nothing is.

    The working directory was `directory`.
    """
    if getattr(sys.stdout, "closed", False):
        # What is printed later is lost, but files can still be written.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        return "closed the standard output"
    if working_directory() != directory:
        os.chdir(directory)
        return "changed the working directory"
    return ""
