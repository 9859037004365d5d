"""A Meter that keeps every value, and refuses what Ray's would not take."""

from collections import defaultdict

from acestep_ray.metrics import METRICS, Counter, Gauge, Histogram, Metric

Series = tuple[str, ...]
"""Values of a metric's labels, in the order in which it names them."""


class RecordingMeter:
    """``counters`` and ``gauges``: the value of each series; ``observed``: all values of each."""

    def __init__(self) -> None:
        self.counters: dict[str, dict[Series, float]] = defaultdict(lambda: defaultdict(float))
        self.gauges: dict[str, dict[Series, float]] = defaultdict(dict)
        self.observed: dict[str, dict[Series, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, metric: Counter, value: float = 1.0, /, **labels: str) -> None:
        assert value >= 0
        self.counters[metric.name][series(metric, labels)] += value

    def set(self, metric: Gauge, value: float, /, **labels: str) -> None:
        self.gauges[metric.name][series(metric, labels)] = float(value)

    def observe(self, metric: Histogram, value: float, /, **labels: str) -> None:
        assert value >= 0
        self.observed[metric.name][series(metric, labels)].append(value)

    def counted(self, metric: Counter) -> dict[Series, float]:
        """The series of a counter that are not 0."""
        return {one: value for one, value in self.counters[metric.name].items() if value}


def series(metric: Metric, labels: dict[str, str]) -> Series:
    """Fails if the labels are not those that the metric declares."""
    assert metric in METRICS
    assert set(labels) == set(metric.labels), metric.name
    assert all(isinstance(value, str) and value for value in labels.values()), labels
    return tuple(str(labels[name]) for name in metric.labels)
