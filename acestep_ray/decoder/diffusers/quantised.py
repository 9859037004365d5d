"""The diffusion transformer's weights in 8 bits: half the memory, and a little less exact.

As in upstream, of the transformer's linear layers alone: not of the encoders, nor of the VAE. A
layer's weights become 16 or 32 bits again where they are used, in which all is computed.
"""

from typing import Any

import torch
from torch import nn

from acestep_ray.settings.engine_names import Quantization

_FP8_CAPABILITY = (8, 9)
"""Compute capability from which CUDA devices have 8-bit floating-point numbers (Ada)."""


def check_quantization(kind: Quantization, device: torch.device) -> None:
    """Raise ValueError if the device cannot use weights of this kind."""
    if kind != "fp8" or device.type != "cuda":
        return
    capability = torch.cuda.get_device_capability(device)
    if capability < _FP8_CAPABILITY:
        raise ValueError(
            f"fp8 needs a GPU of compute capability 8.9 or more, and {device} has "
            f"{'.'.join(map(str, capability))}: set ACESTEP_DIT__QUANTIZATION=int8."
        )


def quantise(transformer: nn.Module, kind: Quantization) -> None:
    """Replace the weights of the linear layers. Blocking; at the peak one of them is twice in
    memory."""
    import torchao.quantization as ao  # noqa: PLC0415  (it takes seconds, and is seldom needed)

    for layer in [one for one in transformer.modules() if isinstance(one, nn.Linear)]:
        config: Any = ao.Float8WeightOnlyConfig()
        if kind == "int8":
            # With one scale for a row, torchao multiplies by the whole numbers first, and 16 bits
            # do not hold the sums.
            group = ao.PerGroup(group_size(layer.in_features))
            config = ao.Int8WeightOnlyConfig(granularity=group, set_inductor_config=False)
        ao.quantize_(layer, config)


def group_size(width: int) -> int:
    """How many weights of a row share a scale: a power of two, at most 128, and fewer than all."""
    return max(size for size in (128, 64, 32, 16, 8, 4, 2, 1) if width % size == 0 and size < width)


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters, as they are in memory."""
    return sum(_bytes(parameter) for parameter in module.parameters())


def _bytes(tensor: torch.Tensor) -> int:
    if not hasattr(tensor, "__tensor_flatten__"):
        return tensor.nbytes
    names, _ = tensor.__tensor_flatten__()
    return sum(_bytes(getattr(tensor, name)) for name in names)
