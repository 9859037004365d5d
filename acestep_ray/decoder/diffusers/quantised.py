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

    config: Any = ao.Int8WeightOnlyConfig() if kind == "int8" else ao.Float8WeightOnlyConfig()
    ao.quantize_(transformer, config, filter_fn=lambda module, _: isinstance(module, nn.Linear))


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters, as they are in memory."""
    return sum(_bytes(parameter) for parameter in module.parameters())


def _bytes(tensor: torch.Tensor) -> int:
    if not hasattr(tensor, "__tensor_flatten__"):
        return tensor.nbytes
    names, _ = tensor.__tensor_flatten__()
    return sum(_bytes(getattr(tensor, name)) for name in names)
