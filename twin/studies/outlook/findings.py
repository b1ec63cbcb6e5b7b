"""What an outlook says, in sentences, the answer first."""

from __future__ import annotations

import math
from collections.abc import Iterator

from twin.core.units import counted
from twin.studies.outlook.study import LinkOutlook, Outlook
from twin.studies.outlook.tables import between, orders, when

_NAMED = 3


def answer(outlook: Outlook) -> list[str]:
    """Return which links run out and when, in sentences; the first is the answer."""
    told = [each for each in outlook.links if each.projection is not None]
    if not told:
        return [f"When links run out cannot be told: {'; '.join(_reasons(outlook))}.", _remedy()]
    reach = soonest(outlook)
    ahead, share = outlook.spec.ahead.text, f"{100 * outlook.spec.at:g} %"
    of = f"of {counted(len(told), 'link')}"
    sentences = [f"None {of} reaches {share} of its capacity within {ahead}{_may(outlook)}."]
    if reach:
        first = reach[0]
        full = sum(not math.isnan(link.full.middle) for link in reach)
        filled = f", and {full} {'is' if full == 1 else 'are'} full by then" if full else ""
        interval = f" ({each})" if (each := between(outlook, first.target)) else ""
        sentences = [
            f"{len(reach)} {of} reach{'es' * (len(reach) == 1)} {share} of capacity within "
            f"{ahead}{filled}; the first is {first.link}, {_on(outlook, first.target.middle)}"
            f"{interval}."
        ]
    sentences += [f"Not told: {reason}." for reason in _reasons(outlook)]
    return sentences + ([_remedy()] if len(told) < len(outlook.links) else [])


def _may(outlook: Outlook) -> str:
    """Return which links may reach the target, where none does at the middle of its interval."""
    may = [each for each in outlook.links if not math.isnan(each.target.early)]
    if not may:
        return ""
    first = min(may, key=lambda each: each.target.early)
    return f", but {len(may)} may: {first.link} {between(outlook, first.target)}"


def upgrading(outlook: Outlook) -> list[str]:
    """Return what upgrades do and cost, in sentences; none without upgrades."""
    every = list(orders(outlook))
    if not every:
        return []
    cost = sum(upgrade.cost for _, upgrade in every)
    links = len({link.link for link, _ in every})
    sentences = [
        f"{counted(len(every), 'upgrade')} on {counted(links, 'link')} for {cost:,.0f} in all; the "
        f"first order is due {_on(outlook, every[0][1].ordered)}, for {every[0][0].link}."
    ]
    late = [each for each in outlook.links if each.upgrades and each.days_short > 0]
    if late:
        worst = max(late, key=lambda each: each.days_short)
        sentences.append(
            f"On {counted(len(late), 'link')} an upgrade comes too late: {worst.link} is busier "
            f"than its capacity for {worst.days_short:.0f} days."
        )
    return sentences


def failing(outlook: Outlook) -> list[str]:
    """Return which links run out under a failure, in a sentence; none where that was not asked."""
    if not outlook.failures:
        return []
    reach = [each for each in outlook.links if not math.isnan(each.full_failed)]
    if not reach:
        return [f"Under no single failure is a link full within {outlook.spec.ahead.text}."]
    first = min(reach, key=lambda each: each.full_failed)
    failure = f", when {first.worst_failure} fails" if first.worst_failure else ""
    return [
        f"Under the worst single failure {counted(len(reach), 'link')} would be full within "
        f"{outlook.spec.ahead.text}; the first is {first.link}, "
        f"{_on(outlook, first.full_failed)}{failure}."
    ]


def soonest(outlook: Outlook) -> list[LinkOutlook]:
    """Return the links that reach the target, the first one first."""
    reach = [each for each in outlook.links if not math.isnan(each.target.middle)]
    return sorted(reach, key=lambda each: (each.target.middle, each.full.middle))


def basis(outlook: Outlook) -> Iterator[str]:
    """Yield what busy means, and where growth comes from."""
    spec = outlook.spec
    days = spec.over_s / 86_400
    yield (
        f"Busy is the {spec.of.name} of demand over the last {days:g} d, at the end of the trace "
        f"({_end(outlook)}); intervals hold 90 %."
    )
    sources = [each.projection.source for each in outlook.links if each.projection is not None]
    if stated := sources.count("stated"):
        yield f"Growth is as stated on {counted(stated, 'link')}."
    if fitted := sources.count("fitted"):
        curve = "compound growth" if spec.curve == "compound" else "a straight line"
        yield f"Growth is fitted to the past of {counted(fitted, 'link')}, as {curve}."


def _end(outlook: Outlook) -> str:
    if outlook.end is None:
        return "it has no dates: times count from there"
    return outlook.end.isoformat(sep=" ", timespec="minutes")


def _on(outlook: Outlook, seconds: float) -> str:
    if seconds == 0:
        return "already"
    day = when(outlook, seconds)
    return day if outlook.end is None else f"on {day}"


def _reasons(outlook: Outlook) -> list[str]:
    """Return why links have no projection, each reason with its links."""
    by_reason: dict[str, list[str]] = {}
    for each in outlook.links:
        if each.projection is None:
            by_reason.setdefault(each.reason, []).append(each.link)
    return [
        f"{reason} ({', '.join(links[:_NAMED])}"
        + (f" and {len(links) - _NAMED} more)" if len(links) > _NAMED else ")")
        for reason, links in by_reason.items()
    ]


def _remedy() -> str:
    return "State 'demand.growth', such as 30%/year, or use --growth."
