"""A Meter that keeps what was counted."""

from collections import Counter as Counts

from acestep_ray.metrics import WEBHOOK_TRIES, Counter, Gauge, Histogram


class CountingMeter:
    """Meter. ``counts``: (name, label values in the order of their names) -> value."""

    def __init__(self) -> None:
        self.counts: Counts[tuple[str, ...]] = Counts()
        self.observed: Counts[str] = Counts()

    def add(self, metric: Counter, value: float = 1.0, /, **labels: str) -> None:
        assert set(labels) == set(metric.labels)
        self.counts[(metric.name, *(labels[name] for name in sorted(labels)))] += int(value)

    def set(self, metric: Gauge, value: float, /, **labels: str) -> None:
        assert set(labels) == set(metric.labels)

    def observe(self, metric: Histogram, value: float, /, **labels: str) -> None:
        assert set(labels) == set(metric.labels)
        self.observed[metric.name] += 1

    def tries(self, kind: str, outcome: str) -> int:
        """Tries to deliver messages of a kind that came out so."""
        return self.counts[(WEBHOOK_TRIES.name, kind, outcome)]
