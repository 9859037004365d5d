"""What an engine replica records about its device."""

from acestep_ray.busy_time import BusyTime
from acestep_ray.metrics import (
    DEVICE_BUSY_SECONDS,
    DEVICE_MEMORY_TOTAL_BYTES,
    DEVICE_MEMORY_USED_BYTES,
)
from acestep_ray.replicas.device_metrics import DeviceMetrics, MemoryUse
from tests.recording_meter import RecordingMeter


def test_a_long_job_shows_while_it_runs() -> None:
    now = 0.0
    meter = RecordingMeter()
    busy = BusyTime(lambda: now)
    metrics = DeviceMetrics(meter, "decoder", busy, lambda: MemoryUse(3, 8))
    busy.begin()
    for _ in range(3):
        now += 5
        metrics.record()
    assert meter.counted(DEVICE_BUSY_SECONDS) == {("decoder",): 15.0}
    assert meter.gauges[DEVICE_MEMORY_USED_BYTES.name] == {("decoder",): 3}
    assert meter.gauges[DEVICE_MEMORY_TOTAL_BYTES.name] == {("decoder",): 8}


def test_memory_that_is_not_known_is_left_out() -> None:
    meter = RecordingMeter()
    DeviceMetrics(meter, "planner", BusyTime(), lambda: None).record()
    assert not meter.gauges
