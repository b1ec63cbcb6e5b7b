"""Elements of HTML. All text is escaped here; what is already markup has the type `Html`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NewType

from twin.core.printable import printable
from twin.report.colours import colour_of, dashes_of

Html = NewType("Html", str)

_VOID: Final = frozenset({"img", "input"})


def text(value: object) -> Html:
    """Return a value as text that contains no markup, and nothing that controls how it is shown."""
    return Html(escape(printable(str(value), keep="\n\t"), quote=True))


def breakable(name: str) -> Html:
    """Return a name as text that may be broken after an underscore."""
    return Html(text(name).replace("_", "_<wbr>"))


def tag(name: str, *inside: Html, **attributes: object) -> Html:
    """Return an element; `class_` and `aria_label` are written as in HTML, None is left out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(inside)}</{name}>")


def section(identity: str, title: str, *inside: Html) -> Html:
    """Return a part of the page under a heading."""
    heading = tag("h2", text(title), id=f"{identity}-title")
    return tag("section", heading, *inside, id=identity, aria_labelledby=f"{identity}-title")


def paragraph(*sentences: str, class_: str | None = None) -> Html:
    """Return sentences as one paragraph."""
    return tag("p", text(" ".join(sentences)), class_=class_)


def table(
    headers: Sequence[Html],
    rows: Iterable[Sequence[Html]],
    *,
    caption: str,
    class_: str | None = None,
) -> Html:
    """Return a table in a box that scrolls; `headers` and cells are `<td>` or `<th>` elements."""
    head = tag("thead", tag("tr", *headers)) if headers else Html("")
    body = tag("tbody", *(tag("tr", *row) for row in rows))
    whole = tag("table", tag("caption", text(caption)), head, body, class_=class_)
    return tag("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)


def head(name: str, unit: str = "", **attributes: object) -> Html:
    """Return the header of a column, its unit below."""
    below = tag("small", text(unit)) if unit else Html("")
    return tag("th", breakable(name), below, scope="col", **attributes)


def swatch(look: int) -> Html:
    """Return a short line in the colour and dashes of a look."""
    line = tag("line", x1=0, y1=5, x2=22, y2=5, **stroke(look))
    return tag("svg", line, class_="swatch", viewBox="0 0 22 10", aria_hidden="true")


def stroke(look: int) -> dict[str, object]:
    """Return how the line of a policy is drawn that has this look."""
    return {"stroke": colour_of(look), "stroke_dasharray": dashes_of(look) or None}


def amount(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits, and separated thousands."""
    if math.isinf(value):
        return "\N{INFINITY}"
    return f"{float(f'{value:.{digits}g}'):,.12g}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """Return a share as percent, with three significant digits."""
    return f"{amount(100 * share, 3)} %"


def some(names: Sequence[str], most: int = 4) -> str:
    """Return the first `most` names as one text, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
