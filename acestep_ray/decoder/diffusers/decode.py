"""Latents to audio: the VAE's decoder, in tiles if the piece is long."""

from collections.abc import Callable

import torch
from diffusers import AutoencoderOobleck

from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples

TILE = 512
OVERLAP = 64
"""How many frames the VAE decodes at a time, and how many on each side are only context: the
numbers that upstream and diffusers use."""


def decode(
    vae: AutoencoderOobleck,
    latents: torch.Tensor,
    first: int,
    last: int,
    *,
    tiled: bool,
    tick: Callable[[], None],
) -> Samples:
    """The frames ``first`` to ``last`` of ``latents`` [1, frames, channels] as audio.

    Float32 [samples, 2] at 48 kHz as the VAE makes it, without a fixed level. ``tick`` is called
    between tiles; its exceptions are passed on.
    """
    # Contiguous, as the tiles: a compiled VAE then has one kind of input.
    by_channel = latents.transpose(1, 2).to(vae.dtype).contiguous()
    if not tiled:
        # Not vae.decode: its own tiling would be used, because it is enabled for encoding.
        audio = vae.decoder(by_channel)[0, :, first * SAMPLES_PER_FRAME : last * SAMPLES_PER_FRAME]
        return _on_cpu(audio)
    parts = torch.empty((last - first) * SAMPLES_PER_FRAME, 2)
    core = TILE - 2 * OVERLAP
    for begin in range(first, last, core):
        if begin > first:
            tick()
        end = min(begin + core, last)
        around = slice(max(0, begin - OVERLAP), min(latents.shape[1], end + OVERLAP))
        tile = vae.decoder(by_channel[:, :, around].contiguous())
        inner = slice(
            (begin - around.start) * SAMPLES_PER_FRAME, (end - around.start) * SAMPLES_PER_FRAME
        )
        parts[(begin - first) * SAMPLES_PER_FRAME : (end - first) * SAMPLES_PER_FRAME] = tile[
            0, :, inner
        ].T
        del tile
    return parts.numpy()


def _on_cpu(audio: torch.Tensor) -> Samples:
    samples: Samples = audio.T.to("cpu", torch.float32).contiguous().numpy()
    return samples
