"""ACE-Step's sampling, written out in numpy with 64-bit floats, apart from the model itself.

It shares nothing with the engine but the model: a mistake in one is not in the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
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


def apg(
    with_text: Numbers, without: Numbers, scale: float, running: Numbers
) -> tuple[Numbers, Numbers]:
    """Projected guidance, and what it remembers for the next step."""
    running = with_text - without - 0.75 * running
    update = running * np.minimum(1, 2.5 / np.linalg.norm(running, axis=1, keepdims=True))
    along = with_text / np.linalg.norm(with_text, axis=1, keepdims=True)
    update = update - np.sum(update * along, axis=1, keepdims=True) * along
    return with_text + (scale - 1) * update, running


def adg(
    x: Numbers, with_text: Numbers, without: Numbers, scale: float, t: float, variant: str = "adg"
) -> Numbers:
    """Guidance by angles, frame by frame."""
    w = max(scale - 1, 0) + 0.001
    a, b = x - t * with_text, x - t * without
    clean = np.empty_like(a)
    for index in np.ndindex(*a.shape[:2]):
        one, other = a[index], b[index]
        cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
        theta = np.arccos(np.clip(cosine, -(1 - 1e-6), 1 - 1e-6))
        phi = w * theta
        if variant != "adg_wo_clip":
            phi = np.clip(phi, *np.array((-3.14, 3.14)) / (3 if variant == "adg_w_norm" else 6))
        p = (one - other) - ((one - other) @ other) / (other @ other) * other
        share = np.sin(phi) / np.sin(theta) if np.sin(theta) > 1e-3 else w
        clean[index] = np.cos(phi) * one + p * share
    if variant == "adg_w_norm":
        for take in range(len(a)):
            for channel in range(a.shape[2]):
                level = np.linalg.norm(a[take, :, channel])
                clean[take, :, channel] *= level / np.linalg.norm(clean[take, :, channel])
    return (x - clean) / t


def limited(x: Numbers, velocity: Numbers, threshold: float) -> Numbers:
    if threshold == 0:
        return velocity
    out = velocity.copy()
    for take in range(len(x)):
        ratio = threshold * np.linalg.norm(x[take]) / np.linalg.norm(velocity[take])
        out[take] *= min(1, ratio)
    return out


@dataclass
class Kept:
    """A repaint's source: its latents [1, frames, 64], the window in frames, and in how many steps
    it is put back."""

    latents: Numbers
    first: int
    last: int
    injected: int

    def put_back(self, x: Numbers, noise: Numbers, t: float) -> Numbers:
        out = x.copy()
        for frame in range(x.shape[1]):
            if not self.first <= frame < self.last:
                out[:, frame] = t * noise[:, frame] + (1 - t) * self.latents[:, frame]
        return out

    def blended(self, x: Numbers, ramp: int) -> Numbers:
        """The final latents: m of them and 1 - m of the source's."""
        out = x.copy()
        for frame in range(x.shape[1]):
            outside = max(self.first - frame, frame - self.last + 1, 0)
            m = max(0.0, 1 - outside / (ramp + 1))
            out[:, frame] = m * x[:, frame] + (1 - m) * self.latents[:, frame]
        return out if ramp else x


def sampled(
    asked: DecodeRequest,
    noise: Numbers,
    times: list[float],
    model: Model,
    *,
    without_text: Model | None = None,
    more_noise: list[Numbers] | None = None,
    start: Numbers | None = None,
    kept: Kept | None = None,
) -> Numbers:
    """The whole loop. ``times`` end with 0; ``without_text``: of a model that is no turbo model.
    ``start``: latents that the noise begins with, as far as the first time says."""
    turbo, steps = without_text is None, len(times) - 1
    e, scale = asked.velocity_ema_factor, asked.guidance_scale
    variant = asked.guidance_variant
    if asked.use_adg and variant == "apg_classic":
        variant = "adg"
    running: Numbers = np.zeros_like(noise)
    previous: Numbers | None = None
    x = noise if start is None else times[0] * noise + (1 - times[0]) * start
    for i, (t, after) in enumerate(pairwise(times)):
        v = model(x, t)
        if without_text and scale > 1 and asked.cfg_interval[0] <= t <= asked.cfg_interval[1]:
            if variant.startswith("adg"):
                v = adg(x, v, without_text(x, t), scale, t, variant)
            elif variant == "cfg":
                other = without_text(x, t)
                v = other + scale * (v - other)
            else:
                v, running = apg(v, without_text(x, t), scale, running)
        v = limited(x, v, asked.velocity_norm_threshold)
        if previous is not None:
            v = (1 - e) * v + e * previous
        clean = x - v * t
        previous = v
        left = after
        if asked.infer_method == "sde":
            left = after if turbo or start is not None else 1 - (i + 1) / steps
            fresh = more_noise[i] if more_noise and left > 0 else 0
            x = left * fresh + (1 - left) * clean
        elif asked.sampler_mode == "heun" and not (turbo and after == 0):
            ahead = x - v * (t - after)
            v2 = model(ahead, after)
            if (
                without_text
                and scale > 1
                and asked.cfg_interval[0] <= after <= asked.cfg_interval[1]
            ):
                other = without_text(ahead, after)
                if variant.startswith("adg") and after > 0:
                    v2 = adg(ahead, v2, other, scale, after, variant)
                else:
                    v2 = other + scale * (v2 - other)
            v2 = limited(ahead, v2, asked.velocity_norm_threshold)
            v2 = (1 - e) * v2 + e * v
            previous = (v + v2) / 2
            x = x - previous * (t - after)
        else:
            x = x - v * (t - after)
        if asked.dcw_enabled:
            strengths = asked.dcw_scaler, asked.dcw_high_scaler
            x = corrected(x, clean, t, asked.dcw_mode, *strengths)
        if kept and i < kept.injected and not (turbo and i == steps - 1):
            x = kept.put_back(x, noise, left)
    return x
