"""The noise of a job's takes."""

import math
from collections.abc import Sequence

import torch
from diffusers.utils.torch_utils import randn_tensor


class Noise:
    """Noise [takes, frames, channels] from one generator per take, on the device.

    So a take is the same in every batch, and everything that is drawn for it follows from its seed.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        frames: int,
        channels: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._shape = (1, frames, channels)
        self._device = device
        self._dtype = dtype

    def draw(self) -> torch.Tensor:
        """New noise for all takes: the generators go on from where they are."""
        return torch.cat(
            [
                randn_tensor(
                    self._shape, generator=generator, device=self._device, dtype=self._dtype
                )
                for generator in self._generators
            ]
        )


def mixed(noise: torch.Tensor, other: torch.Tensor, variance: float) -> torch.Tensor:
    """Noise with ``variance`` (0 to 1) of another in it, of the same strength as both."""
    angle = variance * math.pi / 2
    return math.cos(angle) * noise + math.sin(angle) * other
