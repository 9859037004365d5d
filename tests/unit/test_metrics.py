"""The declarations of metrics: what Prometheus, Ray and the dashboard need of them."""

import re

from acestep_ray.metrics import (
    METRICS,
    NO_METER,
    NONE,
    OTHER,
    Counter,
    Gauge,
    Histogram,
    NoMeter,
    one_of,
)

LABELS = {"status", "task", "code", "stage", "kind", "route", "method", "outcome", "reason"}
SERVE_ADDS = {"deployment", "replica", "application"}
"""Ray refuses a metric that has one of these itself."""


def test_names_follow_the_conventions_of_prometheus() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"acestep_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") is isinstance(metric, Counter)
        assert not re.search(r"_(bucket|count|sum|info)$", metric.name)
        assert metric.description.endswith(".")


def test_labels_are_few_and_known() -> None:
    for metric in METRICS:
        assert len(metric.labels) <= 3
        assert set(metric.labels) <= LABELS - SERVE_ADDS


def test_buckets_rise_from_more_than_nothing() -> None:
    for metric in METRICS:
        assert isinstance(metric, Counter | Gauge | Histogram)
        if isinstance(metric, Histogram):
            assert metric.buckets[0] > 0
            assert list(metric.buckets) == sorted(set(metric.buckets))


def test_a_label_never_has_a_value_that_nobody_knows() -> None:
    assert one_of("cover", ("cover", "lego")) == "cover"
    assert one_of("a client's text", ("cover", "lego")) == OTHER
    assert one_of("", ("cover",)) == one_of(None, ("cover",)) == NONE


def test_without_a_meter_nothing_is_kept() -> None:
    assert isinstance(NO_METER, NoMeter)
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        if isinstance(metric, Counter):
            NO_METER.add(metric, **labels)
        elif isinstance(metric, Gauge):
            NO_METER.set(metric, 1, **labels)
        elif isinstance(metric, Histogram):
            NO_METER.observe(metric, 1, **labels)
