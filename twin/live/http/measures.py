"""What Prometheus scrapes: units are in the names, and nothing waits for the twin's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from twin import __version__
from twin.live.http.loop import LoopStatus

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BITS: Final = 1e6
"""Bits a second in 1 Mbit/s."""
_CLOSING_S: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_ANSWER_S: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
_WHAT_IF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Measures:
    """All metrics of one server, in a registry of its own."""

    def __init__(self, twin: TwinCollector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(twin)
        registry = self._registry
        built = Gauge("twin_build_info", "The version that runs.", ["version"], registry=registry)
        built.labels(__version__).set(1)
        self.closing = Histogram(
            "twin_closing_duration_seconds",
            "Time to close what was due and to decide for the next interval.",
            buckets=_CLOSING_S, registry=registry,
        )  # fmt: skip
        self._requests = Counter(
            "twin_http_requests", "Requests by path and status.", ["path", "method", "status"],
            registry=registry,
        )  # fmt: skip
        self._answers = Histogram(
            "twin_http_request_duration_seconds", "Time to answer, by path.", ["path"],
            buckets=_ANSWER_S, registry=registry,
        )  # fmt: skip
        self.what_ifs = Histogram(
            "twin_what_if_duration_seconds", "Time to answer a what-if, waiting aside.",
            buckets=_WHAT_IF_S, registry=registry,
        )  # fmt: skip

    def add_counter(
        self, name: str, text: str, label: str, counts: Callable[[], Mapping[str, int]]
    ) -> None:
        """Let a counter be read from what somebody else counts, by `label`."""
        self._registry.register(_CountsCollector(name, text, label, counts))

    def add_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Let a gauge be read when it is asked for."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count one answer; `path` is one that there is, so that strangers invent no labels."""
        self._requests.labels(path, method, str(status)).inc()
        self._answers.labels(path).observe(seconds)

    def text(self) -> bytes:
        """Return all of it, as Prometheus reads it."""
        return generate_latest(self._registry)


class _CountsCollector(Collector):
    def __init__(
        self, name: str, text: str, label: str, counts: Callable[[], Mapping[str, int]]
    ) -> None:
        self._name, self._text, self._label, self._counts = name, text, label, counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=[self._label])
        for outcome, count in sorted(dict(self._counts()).items()):
            family.add_metric([outcome], count)
        yield family


class TwinCollector(Collector):
    """The state of the twin, as it was last noted down."""

    def __init__(
        self,
        present: Callable[[], LoopStatus],
        links: tuple[str, ...],
        tick_s: int,
        begins_s: float,
        acting: Callable[[], str],
    ) -> None:
        self._present, self._links, self._tick_s = present, links, tick_s
        self._begins_s, self._acting = begins_s, acting

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        now = self._present()
        yield from self._progress(now)
        samples = CounterMetricFamily(
            "twin_samples", "Samples that came, by what became of them.", labels=["outcome"]
        )
        for outcome, count in sorted(now.counts.items()):
            if outcome == "closed":  # intervals, which have a counter of their own
                continue
            samples.add_metric([outcome], count)
        yield samples
        if now.latest is not None:
            yield from self._of_links(now)
            yield from self._of_policies(now)

    def _progress(self, now: LoopStatus) -> Iterator[Metric]:
        ends = self._begins_s + now.closed * self._tick_s
        for name, text, value in (
            ("twin_ready", "1 where it decides, 0 where it cannot yet.", float(now.ready)),
            ("twin_in_trouble", "1 where something keeps it from going on, such as a full disk.",
             float(now.trouble is not None)),
            ("twin_tick_seconds", "Length of an interval.", self._tick_s),
            ("twin_links", "Links that it knows.", len(self._links)),
            ("twin_clock_timestamp_seconds", "The twin's clock, since 1970.", now.now),
            ("twin_closed_until_timestamp_seconds", "End of the last closed interval.", ends),
            ("twin_lag_seconds", "The clock less the end of the last closed interval.",
             max(now.now - ends, 0.0)),
            ("twin_thread_silent_seconds", "Time since the twin's thread was last free.",
             time.monotonic() - now.beat),
        ):  # fmt: skip
            yield GaugeMetricFamily(name, text, value)
        if now.collecting is not None:
            for name, text, samples in (
                ("twin_history_samples", "Samples of history that were collected.",
                 now.collecting.samples),
                ("twin_history_needed_samples", "Samples of history that are enough.",
                 now.collecting.needed),
            ):  # fmt: skip
                yield GaugeMetricFamily(name, text, samples)
        yield CounterMetricFamily(
            "twin_intervals_closed", "Intervals that have closed.", now.closed
        )

    def _of_links(self, now: LoopStatus) -> Iterator[Metric]:
        closed, acting = now.latest, self._acting()
        assert closed is not None
        granted = closed.allocated_mbps.get(acting)
        columns = [
            ("demand", "Mean offered demand of the last closed interval.", closed.demand_mbps),
            ("capacity", "Capacity at its end; absent: unlimited.", closed.capacity_mbps),
        ]
        if granted is not None:
            columns.append(("allocated", "What the acting policy was granted in it.", granted))
        for name, text, values in columns:
            full = f"twin_link_{name}_bits_per_second"
            family = GaugeMetricFamily(full, text, labels=["link"])
            for link, value in zip(self._links, values.tolist(), strict=True):
                if np.isfinite(value):
                    family.add_metric([link], value * _BITS)
            yield family
        down = GaugeMetricFamily("twin_link_down", "1 where the link is down.", labels=["link"])
        for link, value in zip(self._links, closed.down.tolist(), strict=True):
            down.add_metric([link], float(value))
        yield down

    def _of_policies(self, now: LoopStatus) -> Iterator[Metric]:
        closed = now.latest
        assert closed is not None
        acts = GaugeMetricFamily("twin_policy_acts", "1: its allocations count.", labels=["policy"])
        total = GaugeMetricFamily(
            "twin_policy_allocated_bits_per_second",
            "What a policy was granted in the last closed interval, over all links.",
            labels=["policy"],
        )
        short = GaugeMetricFamily(
            "twin_policy_short_links",
            "Links whose mean demand in it was above what the policy was granted.",
            labels=["policy"],
        )
        for name, granted in closed.allocated_mbps.items():
            acts.add_metric([name], float(name == self._acting()))
            total.add_metric([name], float(np.nansum(granted)) * _BITS)
            short.add_metric([name], int((closed.demand_mbps > granted).sum()))
        yield acts
        yield total
        yield short
