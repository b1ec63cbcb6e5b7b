"""A report as a list of elements, and its two forms: Markdown and one HTML page."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `level` 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; emphasis, bold and code as in Markdown. A warning stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class DocumentTable:
    """A table, its cells as text; the first `left` columns are words, the others numbers."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG beside the report, and what it shows."""

    file: str
    caption: str


Element = Heading | Text | DocumentTable | Picture

_STYLE: Final = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #222;
  background: #fff; max-width: 54rem; margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
p.warning { border-left: 4px solid #D55E00; background: #fdf3ec; padding: .6rem .9rem; }
code { font-size: .9em; background: #f3f3f3; padding: 0 .2em; border-radius: 3px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .84rem; width: 100%; }
th, td { padding: .3rem .55rem; border-bottom: 1px solid #e4e4e4; text-align: right;
  vertical-align: top; font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #999; vertical-align: bottom; }
.l { text-align: left; }
figure { margin: 1rem 0; break-inside: avoid; }
img { max-width: 100%; height: auto; }
figcaption { font-size: .84rem; color: #555; }
@media (max-width: 40rem) { body { padding: .8rem; } table { font-size: .76rem; }
  th, td { padding: .25rem .3rem; } }
@media print { body { font-size: 10pt; max-width: none; padding: 0; } h2 { break-after: avoid; }
  tr { break-inside: avoid; } .wide { overflow: visible; } }
"""


def markdown(elements: Sequence[Element]) -> str:
    """Return the report as Markdown; pictures are named, not contained."""
    return "\n\n".join(_markdown(element) for element in elements) + "\n"


def _markdown(element: Element) -> str:
    match element:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text, warning):
            return f"> {text}" if warning else text
        case Picture(file, caption):
            return f"![{caption}]({file})"
        case DocumentTable(headers, rows, left):
            rule = [":---" if i < left else "---:" for i in range(len(headers))]
            lines = [[cell.replace("|", "\\|") for cell in row] for row in (headers, rule, *rows)]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html(elements: Sequence[Element], folder: Path) -> str:
    """Return the report as one page that needs nothing else; pictures are read from `folder`."""
    title = next(element.text for element in elements if isinstance(element, Heading))
    body = "\n".join(_html(element, folder) for element in elements)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _html(element: Element, folder: Path) -> str:
    match element:
        case Heading(text, level):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Text(text, warning):
            kind = ' class="warning"' if warning else ""
            return f"<p{kind}>{_inline(text)}</p>"
        case Picture(file, caption):
            data = base64.b64encode((folder / file).read_bytes()).decode()
            image = f'<img src="data:image/png;base64,{data}" alt="{escape(caption)}">'
            return f"<figure>{image}<figcaption>{_inline(caption)}</figcaption></figure>"
        case DocumentTable(headers, rows, left):
            head = _row("th", headers, left)
            body = "".join(_row("td", row, left) for row in rows)
            table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
            return f'<div class="wide">{table}</div>'


def _row(tag: str, cells: Sequence[str], left: int) -> str:
    kinds = [' class="l"' if i < left else "" for i in range(len(cells))]
    marked = (
        f"<{tag}{kind}>{_inline(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
    )
    return f"<tr>{''.join(marked)}</tr>\n"


def _inline(text: str) -> str:
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
    italic = re.sub(r"(?<![\w*])\*([^*]+)\*(?![\w*])", r"<em>\1</em>", bold)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", italic)
