"""Presets: settings for a kind of machine. The environment and a Serve config override them.

docs/operations.md explains the numbers.
"""

from collections.abc import Mapping
from typing import Any, Literal

PresetName = Literal["", "4gb", "6gb", "8gb", "12gb", "24gb", "box", "cluster"]

SMALLEST: PresetName = "4gb"
"""The preset for the smallest supported GPU."""
SMALLEST_GPU = 3_700_000_000
"""Least memory of that GPU, bytes, as CUDA reports it: a GPU of 4 GB has 4.1, of which a desktop
may use a part."""

_SHARED = {"min_replicas": 1, "max_replicas": 1}
_FEW_ADAPTERS = 2**28
"""Bytes of adapters' weights where memory is short; without ACESTEP_ADAPTERS none are kept."""
_WHOLE = {"num_gpus": 1, "min_replicas": 1}
_LM_ON_CPU: dict[str, Any] = {
    "lm": {"model": "acestep-5Hz-lm-0.6B", "context": 4096, "device": "cpu"},
    "scaling": {
        "planner": {"num_gpus": 0, **_SHARED},
        "decoder": {"num_gpus": 1, **_SHARED},
    },
}
_ONE_MODULE: dict[str, Any] = {
    **_LM_ON_CPU,
    "dit": {"quantization": "int8", "offload": True, "adapter_bytes": 2**26},
}

PRESETS: Mapping[str, dict[str, Any]] = {
    "": {},
    # One GPU of 4 GB: as 6gb, with shorter songs.
    "4gb": {**_ONE_MODULE, "limits": {"duration": 360}},
    # One GPU of 6 GB: only the decoder's module that works is on it, the diffusion transformer in 8
    # bits; the small language model runs on the CPU.
    "6gb": _ONE_MODULE,
    # One GPU of 8 to 11 GB: the decoder has it, with its largest weights in 8 bits; the small
    # language model runs on the CPU.
    "8gb": {
        **_LM_ON_CPU,
        "dit": {"quantization": "int8", "adapter_bytes": _FEW_ADAPTERS},
    },
    # One GPU of 12 to 16 GB: planner and decoder share it, with the small language model.
    "12gb": {
        "lm": {"model": "acestep-5Hz-lm-0.6B", "context": 4096},
        "dit": {"adapter_bytes": _FEW_ADAPTERS},
        "scaling": {
            "planner": {"num_gpus": 0.3, **_SHARED},
            "decoder": {"num_gpus": 0.7, **_SHARED},
        },
    },
    # One GPU of 24 GB or more: planner and decoder share it.
    "24gb": {
        "scaling": {
            "planner": {"num_gpus": 0.4, **_SHARED},
            "decoder": {"num_gpus": 0.6, **_SHARED},
        },
    },
    # One machine with several GPUs: one for the planner, the others for decoders, as needed.
    "box": {
        "scaling": {
            "planner": {**_WHOLE, "max_replicas": 1},
            "decoder": {**_WHOLE, "max_replicas": 0},
        },
    },
    # Machines that an autoscaler adds and removes.
    "cluster": {
        "scaling": {
            "planner": {**_WHOLE, "max_replicas": 4},
            "decoder": {**_WHOLE, "max_replicas": 32},
            "elastic": True,
            "idle_seconds": 600,
        },
    },
}


def cure(total: int, first: str = "") -> str:
    """What to do if a share of a GPU of ``total`` bytes is too small, without a full stop;
    ``first``: what else may help on a GPU that is large enough."""
    preset = f"the smallest preset, ACESTEP_PRESET={SMALLEST}, is for one of 4 GB"
    if total < SMALLEST_GPU:
        return (
            f"a GPU of this size is not served yet ({preset}; docs/operations.md says what to do "
            "with a smaller one)"
        )
    return (
        f"{first}give it a larger share or a larger GPU, or choose a smaller model or preset "
        f"({preset})"
    )
