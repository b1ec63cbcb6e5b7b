"""The dashboard: one page that holds no data, loads nothing from elsewhere, and asks for the rest.

So it is the same for everybody and may be shown to anybody; what it asks for needs a token where
there are tokens. Script and style are named by their digests in the page's security policy: nothing
else runs, whatever a name of a link or an event may hold.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

from twin.live.http.dashboard.sections import body
from twin.report.html.markup import Html, tag
from twin.report.html.page import shared

_SCRIPTS: Final = ("basics.js", "chart.js", "panels.js", "what_if.js", "main.js")
_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M1 12l4-5 3 3 6-8' fill='none' stroke='%230072B2' stroke-width='2'/%3E%3C/svg%3E"
)


@dataclass(frozen=True)
class DashboardPage:
    """The page, and what a browser is to let it do."""

    text: str
    security_policy: str


@lru_cache(maxsize=1)
def dashboard() -> DashboardPage:
    """Return the page."""
    script = '"use strict";\n' + "".join(_own(name) for name in _SCRIPTS)
    style = shared("map.css") + _own("dashboard.css")
    security_policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_digest(script)}",
            f"style-src {_digest(style)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    head = (
        '<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="{_ICON}">\n'
        f"<title>twin</title>\n<style>{style}</style>\n"
    )
    whole = tag("body", *body(), Html(f"<script>{script}</script>\n"))
    text = f'<!doctype html>\n<html lang="en">\n<head>\n{head}</head>\n{whole}\n</html>\n'
    return DashboardPage(text, security_policy)


def _own(name: str) -> str:
    return (files(__name__.rpartition(".")[0]) / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
