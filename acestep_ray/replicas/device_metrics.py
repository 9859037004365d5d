"""What an engine replica records about its device, every few seconds."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from acestep_ray.busy_time import BusyTime
from acestep_ray.metrics import (
    DEVICE_BUSY_SECONDS,
    DEVICE_MEMORY_TOTAL_BYTES,
    DEVICE_MEMORY_USED_BYTES,
    Meter,
)

RECORD_EVERY = 5.0
"""Seconds between two records: less than Prometheus' usual 15 between two scrapes."""


class MemoryUse(NamedTuple):
    """Memory of a device, bytes; ``used`` by all processes together."""

    used: int
    total: int


class DeviceMetrics:
    """``busy``: the time in which the engine worked. ``memory`` returns None if it is not known."""

    def __init__(
        self,
        meter: Meter,
        kind: Literal["planner", "decoder"],
        busy: BusyTime,
        memory: Callable[[], MemoryUse | None],
    ) -> None:
        self._meter = meter
        self._kind = kind
        self._busy = busy
        self._memory = memory

    def record(self) -> None:
        """Record what has happened since the last call, and how full the device is now."""
        self._meter.add(DEVICE_BUSY_SECONDS, self._busy.take(), kind=self._kind)
        if (memory := self._memory()) is not None:
            self._meter.set(DEVICE_MEMORY_USED_BYTES, memory.used, kind=self._kind)
            self._meter.set(DEVICE_MEMORY_TOTAL_BYTES, memory.total, kind=self._kind)
