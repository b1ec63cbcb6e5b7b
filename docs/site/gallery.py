"""The gallery: each shipped scenario with its picture, made by running it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import twin
from twin.core import content


def pages() -> Iterator[tuple[str, str | bytes]]:
    """Yield the page and its pictures, by their names in the site."""
    parts = [
        "# Gallery",
        "Each scenario runs as it stands, `twin run NAME`; the pictures were made by doing that.",
    ]
    for name, path in content.shipped("scenarios").items():
        text = path.read_text(encoding="utf-8")
        about, _, keys = text.partition("\n")
        parts += [f"## {name}", about.lstrip("# ")]
        parts += [
            f"![Demand and allocation in {name}](gallery/{name}.png)",
            f"```yaml\n{keys.strip()}\n```",
        ]
        yield f"gallery/{name}.png", _picture(name)
    yield "gallery.md", "\n\n".join(parts) + "\n"


def _picture(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        twin.run(name).save(Path(folder) / name)
        return (Path(folder) / name / "figures" / "allocation.png").read_bytes()
