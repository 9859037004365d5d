"""How full and how busy the device of an engine replica is, recorded every few seconds."""

import asyncio
import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import psutil
from ray._private.thirdparty import pynvml as untyped_pynvml

from acestep_ray.busy_time import BusyTime
from acestep_ray.metrics import Meter
from acestep_ray.replicas.device_metrics import RECORD_EVERY, DeviceMetrics, MemoryUse
from acestep_ray.shared_work import start_task
from deployments.replica import gpus

logger = logging.getLogger(__name__)

pynvml: Any = untyped_pynvml


def watch_device(
    meter: Meter, kind: Literal["planner", "decoder"], busy: BusyTime
) -> asyncio.Task[None]:
    """Start to record for this replica; the task ends with it."""
    own = gpus()
    metrics = DeviceMetrics(meter, kind, busy, lambda: memory_use(own))
    return start_task(_watch(metrics), name="device metrics")


async def _watch(metrics: DeviceMetrics) -> None:
    while True:
        try:
            metrics.record()
        except Exception:
            logger.exception("The device cannot be measured; trying again")
        await asyncio.sleep(RECORD_EVERY)


def memory_use(own_gpus: Sequence[str]) -> MemoryUse | None:
    """Memory of these GPUs together, as their driver reports it; without GPUs, of the machine. None
    if the driver does not report it.

    The driver is asked and not torch, which would occupy memory of the GPU in this process: the
    engine vllm works in another one.
    """
    if not own_gpus:
        machine = psutil.virtual_memory()
        return MemoryUse(machine.total - machine.available, machine.total)
    try:
        _begin_nvml()
        found = [pynvml.nvmlDeviceGetMemoryInfo(_handle(gpu)) for gpu in own_gpus]
    except pynvml.NVMLError:
        return None
    return MemoryUse(sum(one.used for one in found), sum(one.total for one in found))


@cache
def _begin_nvml() -> None:
    pynvml.nvmlInit()


def _handle(gpu: str) -> Any:
    """NVML's handle of a GPU; ``gpu``: its index or its UUID."""
    if gpu.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(gpu))
    return pynvml.nvmlDeviceGetHandleByUUID(gpu)
