"""Hands values of metrics to Ray, whose agent on each node exports them to Prometheus."""

import logging
from typing import Any

from ray.serve import metrics as serve_metrics

from acestep_ray.metrics import NO_METER, Counter, Gauge, Histogram, Meter, Metric
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)


def meter_of(settings: Settings) -> Meter:
    """The meter of this process."""
    return RayMeter() if settings.metrics else NO_METER


class RayMeter:
    """A Meter for one process. Ray puts ``ray_`` before every name.

    In a Serve replica, Ray adds the labels ``deployment``, ``replica`` and ``application``; in
    another actor, as the job store's, it adds none of them.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._reported: set[str] = set()

    def add(self, metric: Counter, value: float = 1.0, /, **labels: str) -> None:
        """See Meter."""
        try:
            counter = self._ray_metric(metric)
            if value > 0:
                counter.inc(value, labels)
            else:  # Ray would export a 0, but has no public call for it
                counter._record(0.0, labels)
        except Exception:
            self._report(metric)

    def set(self, metric: Gauge, value: float, /, **labels: str) -> None:
        """See Meter."""
        try:
            self._ray_metric(metric).set(value, labels)
        except Exception:
            self._report(metric)

    def observe(self, metric: Histogram, value: float, /, **labels: str) -> None:
        """See Meter."""
        try:
            self._ray_metric(metric).observe(value, labels)
        except Exception:
            self._report(metric)

    def _ray_metric(self, metric: Counter | Gauge | Histogram) -> Any:
        """Ray's object for the metric. Made at its first use, when the process is known to be a
        replica."""
        if metric.name not in self._made:
            self._made[metric.name] = _make(metric)
        return self._made[metric.name]

    def _report(self, metric: Metric) -> None:
        """Log an error, once per metric: no job fails because it cannot be measured."""
        if metric.name not in self._reported:
            self._reported.add(metric.name)
            logger.exception("The metric %s cannot be recorded", metric.name)


def _make(metric: Counter | Gauge | Histogram) -> Any:
    labels: Any = metric.labels  # Serve declares a tuple of one
    match metric:
        case Counter():
            return serve_metrics.Counter(metric.name, metric.description, labels)
        case Gauge():
            return serve_metrics.Gauge(metric.name, metric.description, labels)
        case Histogram():
            buckets = list(metric.buckets)
            return serve_metrics.Histogram(metric.name, metric.description, buckets, labels)
