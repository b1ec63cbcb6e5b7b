"""What a report is about: the policy that is recommended, and the link that it opens on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twin.core.arrays import Floats
from twin.report.run.aggregate import Aggregates, aggregate, links_to_draw
from twin.report.run.event_spans import EventSpan, event_spans
from twin.report.run.shortfall import short_links
from twin.report.run.sla_scores import sla_scores
from twin.report.run.source import RunData
from twin.report.run.verdict import SlaScore, recommended


@dataclass(frozen=True)
class Findings:
    """What is found in a run, in one pass over its intervals."""

    run: RunData
    spans: Sequence[EventSpan]
    aggregates: Aggregates
    scores: Sequence[SlaScore]

    @property
    def first(self) -> str | None:
        """The recommended policy, None where only bounds were run."""
        best = recommended(self.scores)
        return None if best is None else best.name

    @cached_property
    def lead(self) -> str:
        """The policy that links are shown under: the recommended one, else the first."""
        return self.first or self.run.policies[0]

    @cached_property
    def order(self) -> list[str]:
        """All policies: the recommended one, the static rules, by violations; bounds last."""
        ranked = sorted(self.scores, key=lambda s: (s.name != self.first, not s.static, s.minutes))
        bounds = [name for name in self.run.policies if name in self.run.bounds]
        return [*(score.name for score in ranked), *bounds]

    def minutes(self, policy: str) -> Floats:
        """Return the violated minutes of each link under a policy."""
        cells = self.run.cells
        return np.array([cells[policy, link]["sla_violation_minutes"] for link in self.run.links])

    def short(self, policy: str) -> list[int]:
        """Return the places of the links that fall short, the most violated first."""
        short = short_links(self.aggregates.shortfall, policy, self.minutes(policy))
        return [int(i) for i in short]

    @cached_property
    def failures(self) -> list[int]:
        """Places of the failures whose traffic goes elsewhere, in order of time."""
        if not self.run.rerouted:
            return []
        return [i for i, span in enumerate(self.spans) if span.outage]

    @cached_property
    def focus(self) -> str:
        """The link that the events are about, or else the verdict.

        Of events that do not hit all links: the one with most violated minutes beside them, without
        any the one whose demand a failure raises most, without that the first that is hit. Without
        such events: the link that falls short longest, else the verdict's worst link.
        """
        links = self.run.links
        aimed = {i for i, span in enumerate(self.spans) if len(span.links) < len(links)}
        if aimed:
            beside = self._beside(aimed)
            if beside.any():
                return links[int(beside.argmax())]
            risen = self.risen(self.failures).max(axis=1, initial=0.0)
            if risen.any():
                return links[int(risen.argmax())]
            hit = next((x for i in sorted(aimed) for x in self.spans[i].links if x in links), None)
            if hit is not None:
                return hit
        short = self.short(self.lead)
        if short:
            return links[short[0]]
        best = recommended(self.scores)
        return links[0] if best is None else best.worst_link

    def risen(self, failures: Sequence[int]) -> Floats:
        """Return by how much demand rose in failures, Mbit/s, [links, failures]; 0 where not."""
        shortfall = self.aggregates.shortfall
        rise = shortfall.during[:, failures] - shortfall.before[:, failures]
        return np.nan_to_num(np.maximum(rise, 0.0))

    def _beside(self, aimed: set[int]) -> Floats:
        """Return the violated minutes of each link in these events, under the leading policy."""
        minutes = np.zeros(len(self.run.links))
        for link, causes in self.aggregates.shortfall.policies[self.lead].causes.items():
            minutes[link] = sum(
                cause.minutes
                for cause in causes
                if cause.span in aimed and (cause.own or self.run.rerouted)
            )
        return minutes


def find(run: RunData) -> Findings:
    """Return what a report of a run is about. Raises InputError where its files are damaged."""
    spans = event_spans(run)
    aggregates = aggregate(run, spans, links_to_draw(run, spans))
    return Findings(run, spans, aggregates, sla_scores(run, aggregates))
