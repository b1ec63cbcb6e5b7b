"""What only some platforms have is not needed to import the twin, nor for a plain run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import ROOT

WITHOUT = """
import os, sys
for name in ("fcntl", "resource"):
    sys.modules[name] = None
if hasattr(os, "sched_getaffinity"):
    del os.sched_getaffinity
"""
"""Takes away what Windows has none of, and macOS only in part."""

EVERY_MODULE = """
import importlib, pkgutil, twin
for module in pkgutil.walk_packages(twin.__path__, "twin."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""

PLAIN_RUN = """
import twin
from twin.cli.main import call
twin.run("surge", policies=["static_p95", "quantile"]).summary
sys.exit(call(["run", "baseline", "--policies", "static_p95", "--out", sys.argv[1]]))
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_module_is_imported_without_what_only_linux_has() -> None:
    done = python(EVERY_MODULE)
    assert done.returncode == 0, done.stderr


def test_a_plain_run_needs_nothing_that_only_linux_has(tmp_path: Path) -> None:
    done = python(PLAIN_RUN, str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "summary.csv").is_file()


def test_peak_memory_is_unknown_where_it_cannot_be_measured() -> None:
    code = (
        "import math, pathlib; from twin.studies.reproduction import probe; "
        "probe._STATUS = pathlib.Path('not there'); assert math.isnan(probe._peak_mb())"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
