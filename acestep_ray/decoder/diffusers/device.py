"""Where the model runs and in which number type; how full its memory is, and if it is full."""

import gc

import torch

from acestep_ray.decoder.protocol import DeviceMemory

DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
}

_BF16_CAPABILITY = 8
"""Major compute capability from which CUDA devices multiply bfloat16 (Ampere)."""

_OUT_OF_MEMORY = (
    "out of memory",  # the CUDA driver, outside torch's allocator
    "can't allocate memory",  # torch's CPU allocator raises a plain RuntimeError
    "_ALLOC_FAILED",  # cuBLAS and cuDNN workspaces
)


def choose_device(name: str) -> torch.device:
    """``auto``: the current CUDA device, otherwise the CPU; or a name such as ``cuda:1``.

    Raises ValueError for a device that torch does not know or cannot reach.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{name} is no device that torch knows: use auto, cpu or cuda.") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"{name} is not there: torch finds no CUDA device. Use auto or cpu.")
        if device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto``: float32 on the CPU; on CUDA bfloat16 if the device has it, otherwise float16.

    Raises ValueError for a name that is not in ``DTYPES``.
    """
    if name != "auto":
        if name not in DTYPES:
            raise ValueError(f"{name} is no number type: use auto, {', '.join(DTYPES)}.")
        return DTYPES[name]
    if device.type != "cuda":
        return torch.float32
    major, _ = torch.cuda.get_device_capability(device)
    return torch.bfloat16 if major >= _BF16_CAPABILITY else torch.float16


def device_label(device: torch.device) -> str:
    """As text for people: ``cpu``, or ``cuda:0 (NVIDIA H100 80GB HBM3)``."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def free_memory(device: torch.device) -> None:
    """Give cached memory back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def memory_of(device: torch.device) -> DeviceMemory | None:
    """How full the device's memory is; None on the CPU, whose memory other processes use, too."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return DeviceMemory(
        allocated=torch.cuda.memory_allocated(device),
        peak=torch.cuda.max_memory_allocated(device),
        reserved=torch.cuda.memory_reserved(device),
        free=free,
        total=total,
    )


def reset_peak(device: torch.device) -> None:
    """Reset ``DeviceMemory.peak``."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error from torch means that there was not enough memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(hint in str(error) for hint in _OUT_OF_MEMORY)
