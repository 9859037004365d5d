"""Seeded random weights for a module, one tensor at a time.

Each tensor's numbers come from a generator seeded by the tensor's name, so they are the same in
every layout and for any number of files. The scales keep signals near 1 through the layers, so the
effect of a wrong tensor name or a forgotten condition can be seen in the result.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping

import torch
from torch import nn


def random_tensors(module: nn.Module, name: str, seed: int) -> Iterator[tuple[str, torch.Tensor]]:
    """(tensor name, fp32 tensor) for a module on the meta device; ``name`` is the module's name."""
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    for key in shapes:
        yield key, _tensor(key, shapes, f"{seed}/{name}/")


def _tensor(key: str, shapes: Mapping[str, tuple[int, ...]], salt: str) -> torch.Tensor:
    shape = shapes[key]
    if key.endswith(
        "weight_g"
    ):  # weight normalisation: g scales v / |v|, one |v| per index of dim 0
        direction = _tensor(key.removesuffix("g") + "v", shapes, salt)
        norms: torch.Tensor = torch.linalg.vector_norm(direction.flatten(1), dim=1)
        return norms.reshape(shape)
    digest = hashlib.sha256((salt + key).encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
    numbers = torch.randn(shape, generator=generator)
    if len(shape) == 1 and key.endswith("weight"):  # a norm's gain
        return 1 + 0.1 * numbers
    return numbers * _scale(key, shape)


def _scale(key: str, shape: tuple[int, ...]) -> float:
    if key in ("null_condition_emb", "silence_latent"):
        return 1.0
    if key.endswith("scale_shift_table"):
        return 1 / math.sqrt(shape[-1])
    if len(shape) == 1 or shape[:2] == (1, 1):  # biases, special tokens
        return 0.02
    if key.endswith(("alpha", "beta")):  # log scales of the VAE's Snake activation
        return 0.1
    if "conv_t" in key or "proj_out_conv" in key:  # each output sample depends on one or two taps
        return 1 / math.sqrt(2 * shape[0])
    gain = 0.3 if "res_unit" in key else 1.0  # residual branches add up
    return gain / math.sqrt(math.prod(shape[1:]))
