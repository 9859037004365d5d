"""ACE-Step's sampling, written out in numpy with 64-bit floats, apart from the model itself.

It shares nothing with the engine but the model: a mistake in one is not in the other.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from acestep_ray.decoder.protocol import DecodeRequest
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny
from tests.models.decoder.diffusers.upstream import Side, encoded, velocity_of

Numbers = NDArray[np.float64]
Model = Callable[[Numbers, float], Numbers]
"""The velocity of latents [takes, frames, 64] at a time."""


def model_of(
    tiny: Tiny, asked: DecodeRequest, side: Side, frames: int, *, text: bool = True
) -> Model:
    """The engine's model; without ``text`` its answer to no condition at all."""
    with torch.no_grad():
        condition = encoded(tiny.pipeline, asked, side, frames)
        if not text:
            condition = tiny.pipeline.condition_encoder.null_condition_emb.expand_as(condition)

    @torch.no_grad()
    def velocity(latents: Numbers, time: float) -> Numbers:
        given = torch.from_numpy(latents).to(DEVICE, torch.float32)
        return numbers(velocity_of(tiny.pipeline, given, time, condition, side.context))

    return velocity


def numbers(tensor: torch.Tensor) -> Numbers:
    found: Numbers = tensor.cpu().numpy().astype(np.float64)
    return found


def times_of(steps: int, shift: float) -> list[float]:
    """From 1 to 0, both included."""
    linear = [1 - step / steps for step in range(steps + 1)]
    return [shift * t / (1 + (shift - 1) * t) for t in linear]


def haar(latents: Numbers) -> tuple[Numbers, Numbers]:
    """Low and high band along time, orthonormal; a missing last frame is zeros."""
    if latents.shape[1] % 2:
        latents = np.concatenate([latents, np.zeros_like(latents[:, :1])], axis=1)
    first, second = latents[:, 0::2], latents[:, 1::2]
    return (first + second) / np.sqrt(2), (first - second) / np.sqrt(2)


def inverse_haar(low: Numbers, high: Numbers, frames: int) -> Numbers:
    pairs = np.stack([(low + high) / np.sqrt(2), (low - high) / np.sqrt(2)], axis=2)
    takes, _, _, channels = pairs.shape
    return pairs.reshape(takes, -1, channels)[:, :frames]


def corrected(
    latents: Numbers, clean: Numbers, time: float, mode: str, scaler: float, high_scaler: float
) -> Numbers:
    """DCW."""
    if mode == "pix":
        return latents + scaler * (latents - clean)
    low, high = {
        "low": (time * scaler, 0.0),
        "high": (0.0, (1 - time) * scaler),
        "double": (time * scaler, (1 - time) * high_scaler),
    }[mode]
    x_low, x_high = haar(latents)
    y_low, y_high = haar(clean)
    return inverse_haar(
        x_low + low * (x_low - y_low), x_high + high * (x_high - y_high), latents.shape[1]
    )


def euler_with_dcw(model: Model, noise: Numbers, asked: DecodeRequest) -> Numbers:
    times = times_of(asked.steps, asked.shift)
    latents = noise
    for t, after in pairwise(times):
        velocity = model(latents, t)
        clean = latents - velocity * t
        latents = corrected(
            latents - velocity * (t - after),
            clean,
            t,
            asked.dcw_mode,
            asked.dcw_scaler,
            asked.dcw_high_scaler,
        )
    return latents
