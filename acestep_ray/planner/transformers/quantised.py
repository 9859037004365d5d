"""The language model's matrices in 4 bits: a quarter of their memory, and less exact.

NF4 by bitsandbytes: each 64 weights share a scale, and become 16 or 32 bits again where they are
used. The embedding, which is also the head, stays as it is: the audio codes are in it.
"""

import logging
from typing import Any

import torch
from torch import nn
from transformers import Qwen3ForCausalLM


def quantise(model: Qwen3ForCausalLM, device: torch.device) -> None:
    """Replace the layers' matrices and move them to the device, one by one. Blocking."""
    # It says on a CPU that it has found no faster kernels.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from bitsandbytes import nn as bnb  # noqa: PLC0415  (it is seldom needed)

    for name, layer in list(model.model.layers.named_modules()):
        if not isinstance(layer, nn.Linear):
            continue
        smaller: Any = bnb.Linear4bit(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            compute_dtype=layer.weight.dtype,
            quant_type="nf4",
            device="meta",
        )
        smaller.weight = bnb.Params4bit(
            layer.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=False
        )
        if layer.bias is not None:
            smaller.bias = layer.bias
        parent, _, attribute = name.rpartition(".")
        setattr(model.model.layers.get_submodule(parent), attribute, smaller.to(device))
