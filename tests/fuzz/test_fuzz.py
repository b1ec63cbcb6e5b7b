"""Nearly right inputs lead to a result, or to exit code 2 with a place, and to nothing else.

`make fuzz FUZZ=5000` tries so many of each kind. What an input was follows from its seed alone:
`SEED=17` tries that one.
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import KINDS, SCENARIO, report

from twin.cli.main import call

EXAMPLES = int(os.environ.get("FUZZ", "12"))
SEED = os.environ.get("SEED")
MOST_S = 60
MOST_KIB = 2**20

seeds = st.integers(0, 2**32 - 1) if SEED is None else st.just(int(SEED))
fuzzed = settings(
    max_examples=EXAMPLES if SEED is None else 1,
    derandomize=EXAMPLES <= 12,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _files(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def _try(
    write: Callable[[Random, Path], list[str]], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as name, chdir(name), _limited(MOST_S):
        folder = Path(name)
        words = write(Random(seed), folder)
        before, peak, since = _files(folder), _peak_kib(), time.monotonic()
        code = call(words)
        said = capsys.readouterr()
        # What a policy does is its own affair: a run that it fails has exit code 1.
        failed = words[0] in ("run", "check-policy")
        assert code in (0, 1, 2) if failed else code in (0, 2), (words, said.err)
        if code:
            assert said.err.strip(), (words, "nothing was said")
            assert "Traceback" not in said.err, words
            assert _files(folder) == before, (words, "a file was left")
        assert _peak_kib() - peak < MOST_KIB, (words, "it took more than 1 GiB")
        assert time.monotonic() - since < MOST_S, words


@pytest.mark.parametrize("kind", KINDS)
def test_a_nearly_right_input_is_used_or_refused(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @fuzzed
    @given(seed=seeds)
    def tried(seed: int) -> None:
        _try(KINDS[kind], seed, capsys)

    tried()


def test_a_nearly_right_folder_is_reported_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.yaml").write_text(SCENARIO)
    made = tmp_path / "made"
    assert call(["run", str(tmp_path / "s.yaml"), "--no-report", "--out", str(made)]) == 0

    # A page and its figures take a second.
    @settings(fuzzed, max_examples=max(fuzzed.max_examples // 6, 1))
    @given(seed=seeds)
    def tried(seed: int) -> None:
        _try(lambda random, folder: report(random, folder, made), seed, capsys)

    tried()
