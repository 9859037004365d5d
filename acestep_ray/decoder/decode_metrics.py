"""What one finished job adds to the metrics of its decoder."""

from acestep_ray.decoder.events import Decoded
from acestep_ray.decoder.protocol import TASKS, DecodeRequest
from acestep_ray.metrics import (
    AUDIO_SECONDS,
    DEVICE_MEMORY_PEAK_BYTES,
    REALTIME_FACTOR,
    STAGE_SECONDS,
    STAGE_TIME,
    Meter,
    one_of,
)
from acestep_ray.timebase import SAMPLE_RATE

KIND = "decoder"


def record_decoded(meter: Meter, request: DecodeRequest, decoded: Decoded) -> None:
    """Record the stages of a job, and how much audio it made. Called once per job."""
    for stage, seconds in decoded.seconds.items():
        meter.observe(STAGE_SECONDS, seconds, kind=KIND, stage=stage)
        meter.add(STAGE_TIME, seconds, kind=KIND, stage=stage)
    task = one_of(request.task, TASKS)
    audio = sum(take.samples for take in decoded.takes) / SAMPLE_RATE
    meter.add(AUDIO_SECONDS, audio, task=task)
    if decoded.device_seconds > 0:
        meter.observe(REALTIME_FACTOR, audio / decoded.device_seconds, task=task)
    if decoded.peak_memory is not None:
        meter.set(DEVICE_MEMORY_PEAK_BYTES, decoded.peak_memory, kind=KIND)
