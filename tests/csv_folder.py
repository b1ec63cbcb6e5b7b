"""A folder to write CSV traces to and read them from, and a small trace that is right."""

import os
from pathlib import Path

import pytest

from twin.core.errors import InputError
from twin.demand.read import read
from twin.demand.spec import DemandSpec
from twin.demand.trace import Trace

GOOD = "time,link,internet\n0,a,1\n0,b,5\n300,a,2\n300,b,6\n600,a,3\n600,b,7\n"


class CsvFolder:
    """A scenario's folder: writes a trace and reads it, or returns the problems of one refused."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, content: str | bytes, name: str = "a.csv", tick: int = 300, **demand) -> Trace:
        data = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(data)
        spec = DemandSpec.model_validate({"source": "csv", "path": name} | demand)
        return read(spec, self.path, tick, 1)

    def refused(self, content: str | bytes, name: str = "a.csv", **demand) -> list[str]:
        with pytest.raises(InputError) as caught:
            self.read(content, name, **demand)
        return [
            str(problem).replace(f"{self.path}{os.sep}", "") for problem in caught.value.problems
        ]
