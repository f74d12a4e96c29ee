"""Keep the measurements of all processes of Airflow, and give them to Prometheus.

Tasks are processes that live for seconds: none could be asked for its metrics, so they are sent
here, and added up.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from scripts.monitoring.statsd_lines import COUNTER, DURATION, GAUGE, Line

BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0)
"""From the scheduler's loop, a tenth of a second, to a training of hours (`plugins/phases.py`)."""
MAX_SERIES = 20_000
"""Of all metrics together: what is new beyond is dropped and counted, or the memory would grow."""

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class _Durations:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total_s: float = 0.0


class Series(Collector):
    """All series, by name and labels."""

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        self._numbers: dict[str, dict[_Key, float]] = {COUNTER: {}, GAUGE: {}}
        self._durations: dict[_Key, _Durations] = {}
        self._kinds: dict[str, str] = {}
        self._max_series = max_series
        self._lock = threading.Lock()
        self.read = 0
        self.dropped = 0

    def add(self, line: Line | None) -> None:
        """Take one measurement; what cannot be read or kept is counted."""
        with self._lock:
            if line is None or not self._has_room(line):
                self.dropped += 1
                return
            self.read += 1
            key = (line.name, line.labels)
            if line.kind == DURATION:
                found = self._durations.setdefault(key, _Durations())
                found.buckets[bisect_left(BUCKETS_S, line.value)] += 1
                found.total_s += line.value
                return
            numbers = self._numbers[line.kind]
            adds = line.kind == COUNTER or line.is_change
            numbers[key] = line.value + (numbers.get(key, 0.0) if adds else 0.0)

    def collect(self) -> Iterator[Metric]:
        """Give all series, as prometheus_client asks for them."""
        with self._lock:
            found = [*self._told_numbers(), *self._told_durations(), *self._told_own()]
        yield from found

    def _has_room(self, line: Line) -> bool:
        if self._kinds.setdefault(line.name, line.kind) != line.kind:
            return False  # one name, two types: Prometheus would refuse all there is
        known = self._durations if line.kind == DURATION else self._numbers[line.kind]
        if (line.name, line.labels) in known:
            return True
        every = len(self._durations) + sum(map(len, self._numbers.values()))
        return every < self._max_series

    def _told_numbers(self) -> Iterator[Metric]:
        for kind, words, suffix in ((COUNTER, "counter", "_total"), (GAUGE, "gauge", "")):
            for name, keys in _by_name(self._numbers[kind]).items():
                metric = Metric(name, "Sent by Airflow.", words)
                for key in keys:
                    metric.add_sample(name + suffix, dict(key[1]), self._numbers[kind][key])
                yield metric

    def _told_durations(self) -> Iterator[Metric]:
        for name, keys in _by_name(self._durations).items():
            metric = Metric(f"{name}_seconds", "Sent by Airflow.", "histogram")
            for key in keys:
                labels, found, count = dict(key[1]), self._durations[key], 0
                bounds = [*map(str, BUCKETS_S), "+Inf"]
                for bound, inside in zip(bounds, found.buckets, strict=True):
                    count += inside
                    metric.add_sample(f"{name}_seconds_bucket", {**labels, "le": bound}, count)
                metric.add_sample(f"{name}_seconds_count", labels, count)
                metric.add_sample(f"{name}_seconds_sum", labels, found.total_s)
            yield metric

    def _told_own(self) -> Iterator[Metric]:
        for name, about, value in (
            ("flywheel_statsd_lines", "Lines that were taken.", self.read),
            ("flywheel_statsd_dropped", "Lines that were unreadable or too many.", self.dropped),
        ):
            metric = Metric(name, about, "counter")
            metric.add_sample(f"{name}_total", {}, value)
            yield metric


def _by_name(
    keys: dict[_Key, object] | dict[_Key, float] | dict[_Key, _Durations],
) -> dict[str, list[_Key]]:
    found: dict[str, list[_Key]] = {}
    for key in keys:
        found.setdefault(key[0], []).append(key)
    return found
