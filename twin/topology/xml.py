"""XML as a tree whose elements know their line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from twin.core.errors import InputError, Problem

DEEPEST = 100
"""Most elements inside one another."""


@dataclass(slots=True)
class Element:
    """One element; its tag is without the namespace."""

    tag: str
    attributes: Mapping[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, path: str) -> Iterator[Element]:
        """Yield the elements that a path such as ``nodes/node`` leads to."""
        tag, _, rest = path.partition("/")
        for child in self.children:
            if child.tag == tag:
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def first(self, path: str) -> Element | None:
        """Return the first of them, if there is one."""
        return next(self.all(path), None)

    def value(self, path: str) -> str | None:
        """Return the text of the first of them, None where there is none or it is empty."""
        found = self.first(path)
        return None if found is None else found.text.strip() or None


def parse_xml(data: bytes, file: Path) -> Element:
    """Return the root of an XML file. Raises InputError naming the line that cannot be read.

    Entities are refused: a few lines of them can stand for gigabytes.
    """
    if not data.strip():
        raise InputError(Problem("is empty", "", file))
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    root = Element("", {}, 0)
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEEPEST:
            raise InputError(_problem("is nested too deeply", file, parser))
        plain = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        element = Element(name.rpartition(" ")[2], plain, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def entity(*_: object) -> None:
        raise InputError(_problem("declares an entity", file, parser, "write what it stands for"))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        what = f"is not XML: {expat.ErrorString(error.code)}"
        raise InputError(Problem(what, "", file, error.lineno)) from None
    except (ValueError, LookupError) as error:
        raise InputError(_problem(f"is not XML: {error}", file, parser)) from None
    return root.children[0]


def _problem(what: str, file: Path, parser: expat.XMLParserType, suggestion: str = "") -> Problem:
    return Problem(what, "", file, parser.CurrentLineNumber, suggestion)
