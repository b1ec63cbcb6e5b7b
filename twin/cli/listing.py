"""`twin list`: what is shipped, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from twin.core import content
from twin.core.errors import InputError, Problem, did_you_mean
from twin.events.base import event_kinds
from twin.forecast.card import read_card
from twin.policy.load import load
from twin.scenario import source


def lines(kind: str | None) -> Iterator[str]:
    """Yield the lines for one kind of thing, or for all under headings.

    Raises InputError for an unknown kind.
    """
    if kind is not None and kind not in _LISTERS:
        hint = did_you_mean(kind, _LISTERS) or f"there are: {', '.join(_LISTERS)}"
        raise InputError(Problem(f"twin list: no such kind: {kind}", suggestion=hint))
    for name, lister in _LISTERS.items():
        if kind == name:
            yield from _aligned(lister())
        elif kind is None:
            yield f"{name}:"
            yield from (f"  {line}" for line in _aligned(lister()))


def _aligned(rows: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    return (f"{name:<{width}}  {text}" for name, text in rows.items())


def _policies() -> dict[str, str]:
    rows = {}
    for name, path in content.shipped("policies").items():
        source = load(path)
        keys = _keys(source.policy.parameters())
        rows[name] = source.summary + (f" [{keys}]" if keys else "")
    return rows


def _models() -> dict[str, str]:
    cards = {name: read_card(path) for name, path in content.shipped("models").items()}
    return {
        name: f"{card.recipe}: {', '.join(card.features)}; window {card.window}, "
        f"{card.parameters:,} parameters, {card.size_bytes / 2**20:.2f} MiB"
        for name, card in cards.items()
    }


def _scenarios() -> dict[str, str]:
    rows = {}
    for name, path in content.shipped("scenarios").items():
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        events = source.read(path).data.get("events") or ()
        kinds = ", ".join(dict.fromkeys(event["kind"] for event in events))
        rows[name] = first.lstrip("# ") + (f" [{kinds}]" if kinds else "")
    return rows


def _events() -> dict[str, str]:
    return {
        kind: f"{(spec.__doc__ or '').splitlines()[0]} [{_keys(spec, skip=('kind', 'name'))}]"
        for kind, spec in event_kinds().items()
    }


def _keys(model: type[BaseModel], skip: tuple[str, ...] = ()) -> str:
    blank = model.model_construct().model_dump(mode="json", warnings=False)
    shown = []
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        required = field.default is PydanticUndefined
        optional, key = field.default is None, field.alias or name
        shown.append(key if required else f"{key}?" if optional else f"{key}={_show(blank[name])}")
    return ", ".join(shown)


def _show(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_LISTERS: dict[str, Callable[[], dict[str, str]]] = {
    "policies": _policies,
    "models": _models,
    "scenarios": _scenarios,
    "events": _events,
}
