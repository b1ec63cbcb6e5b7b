"""One HTML page that needs nothing else: style, script and pictures are all in it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from twin.report.html.markup import Html, tag, text

_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
)
"""What a browser lets the page do: nothing that leaves the file."""


def page(title: str, body: Sequence[Html], style: str = "", *, mapped: bool = False) -> str:
    """Return a whole page; `style` is added to the style that all pages have.

    A page is `mapped` where it has the map of a network.
    """
    style = shared("page.css") + (shared("map.css") if mapped else "") + style
    scripts = [shared("page.js"), *([shared("map.js")] if mapped else [])]
    run = "".join(f"<script>\n{script}</script>\n" for script in scripts)
    main = tag("main", *body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY_POLICY}">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}: report</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{main}\n{run}</body>\n</html>\n"
    )


def shared(name: str) -> str:
    """Return the text of a file that pages share."""
    return (files(__name__.rpartition(".")[0]) / name).read_text(encoding="utf-8")
