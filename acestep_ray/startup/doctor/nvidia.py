"""The GPUs of this machine, as their driver's own program lists them. No torch is needed."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.errors import ConfigurationError

PROGRAM = "nvidia-smi"
FIELDS = ("index", "uuid", "name", "driver_version", "memory.total", "memory.free", "compute_cap")
QUERY_SECONDS = 20.0
MIB = 1 << 20


class DriverError(ConfigurationError):
    """The driver does not list its GPUs; the message names the cure."""


@dataclass(frozen=True)
class Gpu:
    """One GPU. ``total`` and ``free``: its memory, bytes. ``capability``: its compute capability,
    None if the driver does not report it."""

    index: int
    uuid: str
    name: str
    driver: str
    total: int
    free: int
    capability: tuple[int, int] | None


def visible_gpus() -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES shows; all, if it is not set. Raises DriverError."""
    gpus = _all_gpus()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return gpus
    found: list[Gpu] = []
    for word in shown.split(","):
        match = [gpu for gpu in gpus if _is(gpu, word.strip())]
        if not match:
            break  # as CUDA itself: what follows an unknown one is not shown
        found += match
    return found


def _is(gpu: Gpu, word: str) -> bool:
    return word == str(gpu.index) or (word.startswith("GPU-") and gpu.uuid.startswith(word))


def _all_gpus() -> list[Gpu]:
    program = shutil.which(PROGRAM)
    if program is None:
        raise DriverError(
            f"the driver's program {PROGRAM} is not on the PATH: install the NVIDIA driver with "
            "its tools (in a container: NVIDIA_DRIVER_CAPABILITIES=compute,utility)."
        )
    command = [program, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=QUERY_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise DriverError(
            f"{program} does not answer: the driver hangs; restart the machine."
        ) from None
    if done.returncode:
        reason = (done.stdout or done.stderr).strip().splitlines() or ["it does not report why"]
        raise DriverError(
            f"{program} fails ({reason[0].rstrip('.')}): load the driver again, or restart the "
            "machine; after an update of the driver that is needed, too."
        )
    return [_gpu(line.split(", ")) for line in done.stdout.splitlines() if line.strip()]


def _gpu(words: Sequence[str]) -> Gpu:
    index, uuid, *name, driver, total, free, capability = words
    major, _, minor = capability.partition(".")
    return Gpu(
        index=int(index),
        uuid=uuid,
        name=", ".join(name),
        driver=driver,
        total=_bytes(total),
        free=_bytes(free),
        capability=(int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None,
    )


def _bytes(mebibytes: str) -> int:
    """0 if the driver does not report it, as for a GPU that shares the machine's memory."""
    return int(mebibytes) * MIB if mebibytes.isdecimal() else 0
