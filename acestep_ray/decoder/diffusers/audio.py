"""Client audio on the device: 48 kHz, stereo, and as latents."""

import math

import numpy as np
import torch
import torchaudio
from diffusers import AutoencoderOobleck

from acestep_ray.audio.resample import resample, to_stereo
from acestep_ray.timebase import SAMPLE_RATE, Samples

SOURCE_SEED = 0
"""Seed of the one random draw that encoding audio needs."""

SILENCE = 1e-4
"""Peak below which audio counts as silent: -80 dBFS, above the dither of a 16-bit file."""

SEGMENT = 10 * SAMPLE_RATE
SEGMENTS = 3

_FILTER_NUMBERS = 4_000_000
_FILTER_WIDTH = 6  # torchaudio's default, in zero crossings


def to_48k_stereo(samples: Samples, rate: int, device: torch.device) -> torch.Tensor:
    """``samples`` [n, channels] at ``rate`` Hz as float32 [2, m] in [-1, 1] on ``device``.

    Mono is doubled; of more channels the first two are taken, as upstream does.
    """
    stereo = to_stereo(samples)
    if _filter_numbers(rate) > _FILTER_NUMBERS:
        # torchaudio keeps one filter for each phase of the reduced ratio: for a rate such as
        # 44,101 Hz that is 17 GB. soxr interpolates its filter and takes any ratio.
        stereo, rate = resample(stereo, rate, SAMPLE_RATE), SAMPLE_RATE
    waveform = torch.from_numpy(np.array(stereo.T, order="C")).to(device)
    resampled: torch.Tensor = torchaudio.functional.resample(waveform, rate, SAMPLE_RATE)
    return resampled.clamp(-1, 1)


def is_silent(waveform: torch.Tensor) -> bool:
    """Whether there is nothing to hear in it."""
    return waveform.numel() == 0 or float(waveform.abs().max()) < SILENCE


def reference_segments(waveform: torch.Tensor) -> torch.Tensor:
    """30 s of ``waveform`` [2, n]: ten from its front, its middle third and its back.

    Repeated until it is 30 s long where it is shorter. Upstream starts at random places within
    each third; fixed ones, which are diffusers' too, let the same request give the same music.
    """
    samples = waveform.shape[-1]
    if samples < SEGMENTS * SEGMENT:
        waveform = waveform.repeat(1, math.ceil(SEGMENTS * SEGMENT / samples))
        samples = waveform.shape[-1]
    starts = (0, samples // SEGMENTS, samples - SEGMENT)
    return torch.cat([waveform[:, start : start + SEGMENT] for start in starts], dim=-1)


def encode(vae: AutoencoderOobleck, waveform: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Latents [1, n // 1920, channels] of ``waveform`` [2, n].

    The VAE gives a distribution. Upstream and diffusers draw from it with the global random
    state; this draws with a generator of its own and one seed for all, so that the same audio has
    the same latents in every take, every attempt, and whatever ran before.
    """
    generator = torch.Generator(waveform.device).manual_seed(SOURCE_SEED)
    posterior = vae.encode(waveform.unsqueeze(0).to(vae.dtype)).latent_dist
    latents: torch.Tensor = posterior.sample(generator).transpose(1, 2).to(dtype)
    return latents


def _filter_numbers(rate: int) -> int:
    """How many numbers torchaudio's filter for ``rate`` Hz to 48 kHz holds."""
    common = math.gcd(rate, SAMPLE_RATE)
    source, target = rate // common, SAMPLE_RATE // common
    return target * (source + 2 * math.ceil(_FILTER_WIDTH * source / min(source, target)))
