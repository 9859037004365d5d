"""Hands values of metrics to Ray, whose agent on each node exports them to Prometheus."""

import logging
from typing import TypeVar

from ray.serve import metrics as serve_metrics

from acestep_ray.metrics import Counter, Gauge, Histogram, Metric

logger = logging.getLogger(__name__)

PREFIX = "ray_"
"""Ray puts it before every name."""

M = TypeVar("M", serve_metrics.Counter, serve_metrics.Gauge, serve_metrics.Histogram)


class RayMeter:
    """A Meter for one process. In a Serve replica, Ray adds the labels ``deployment``, ``replica``
    and ``application``; in another actor, as the job store's, it adds none of them.

    Make it where the process is known to be a replica: in the replica's constructor.
    """

    def __init__(self) -> None:
        self._counters: dict[str, serve_metrics.Counter] = {}
        self._gauges: dict[str, serve_metrics.Gauge] = {}
        self._histograms: dict[str, serve_metrics.Histogram] = {}
        self._reported: set[str] = set()

    def add(self, metric: Counter, value: float = 1.0, /, **labels: str) -> None:
        """See Meter."""
        try:
            if metric.name not in self._counters:
                self._counters[metric.name] = serve_metrics.Counter(
                    metric.name, metric.description, metric.labels
                )
            counter = self._counters[metric.name]
            if value > 0:
                counter.inc(value, labels)
            else:  # Ray would export it, but has no public call for it
                counter._record(0.0, labels)
        except Exception:
            self._report(metric)

    def set(self, metric: Gauge, value: float, /, **labels: str) -> None:
        """See Meter."""
        try:
            if metric.name not in self._gauges:
                self._gauges[metric.name] = serve_metrics.Gauge(
                    metric.name, metric.description, metric.labels
                )
            self._gauges[metric.name].set(value, labels)
        except Exception:
            self._report(metric)

    def observe(self, metric: Histogram, value: float, /, **labels: str) -> None:
        """See Meter."""
        try:
            if metric.name not in self._histograms:
                self._histograms[metric.name] = serve_metrics.Histogram(
                    metric.name, metric.description, list(metric.buckets), metric.labels
                )
            self._histograms[metric.name].observe(value, labels)
        except Exception:
            self._report(metric)

    def _report(self, metric: Metric) -> None:
        """Log an error once per metric: no job fails because it cannot be measured."""
        if metric.name not in self._reported:
            self._reported.add(metric.name)
            logger.exception("The metric %s cannot be recorded", metric.name)
