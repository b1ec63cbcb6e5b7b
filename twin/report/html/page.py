"""One HTML page that needs nothing else: style, script and pictures are all in it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from twin.report.html.markup import Html, tag, text

_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
)
"""What a browser lets the page do: nothing that leaves the file."""


def page(title: str, body: Sequence[Html], style: str = "") -> str:
    """Return a whole page; `style` is added to the style that all pages have."""
    here = files(__name__.rpartition(".")[0])
    style = (here / "page.css").read_text(encoding="utf-8") + style
    script = (here / "page.js").read_text(encoding="utf-8")
    main = tag("main", *body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY_POLICY}">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}: report</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{main}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )
