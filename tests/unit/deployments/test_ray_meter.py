"""The meter over Ray: a mistake in a metric must never fail a job."""

import logging

import pytest

from acestep_ray.metrics import (
    DEVICE_BUSY_SECONDS,
    METRICS,
    NO_METER,
    STAGE_SECONDS,
    STORE_UP,
    Counter,
    Gauge,
    Histogram,
)
from acestep_ray.settings import Settings
from deployments.ray_meter import RayMeter, meter_of


def test_ray_takes_every_metric(caplog: pytest.LogCaptureFixture) -> None:
    meter = RayMeter()
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        if isinstance(metric, Counter):
            meter.add(metric, 0, **labels)
            meter.add(metric, **labels)
        elif isinstance(metric, Gauge):
            meter.set(metric, 1, **labels)
        elif isinstance(metric, Histogram):
            meter.observe(metric, 1, **labels)
    assert not caplog.records


def test_a_mistake_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    meter = RayMeter()
    for _ in range(3):
        meter.add(DEVICE_BUSY_SECONDS, 1)
        meter.set(STORE_UP, "up")  # type: ignore[arg-type]
        meter.observe(STAGE_SECONDS, 1, kind="decoder")
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.args for record in errors] == [
        (metric.name,) for metric in (DEVICE_BUSY_SECONDS, STORE_UP, STAGE_SECONDS)
    ]


def test_metrics_can_be_left_out() -> None:
    assert isinstance(meter_of(Settings()), RayMeter)
    assert meter_of(Settings(metrics=False)) is NO_METER
