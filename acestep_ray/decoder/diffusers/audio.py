"""Client audio on the device: 48 kHz, stereo, and as latents."""

import math

import numpy as np
import torch
import torchaudio
from diffusers import AutoencoderOobleck

from acestep_ray.audio.resample import resample, to_stereo
from acestep_ray.timebase import SAMPLE_RATE, Samples

SOURCE_SEED = 0
"""Seed of the only random draw that encoding audio needs."""

SILENCE = 1e-4
"""Peak below which audio is treated as silent: -80 dBFS, above the dither of a 16-bit file."""

SEGMENT = 10 * SAMPLE_RATE
SEGMENTS = 3

_FILTER_NUMBERS = 4_000_000
_FILTER_WIDTH = 6  # torchaudio's default, in zero crossings


def to_48k_stereo(samples: Samples, rate: int, device: torch.device) -> torch.Tensor:
    """``samples`` [n, channels] at ``rate`` Hz as float32 [2, m] in [-1, 1] on ``device``.

    Mono is doubled; of more than two channels, the first two are used, as in upstream.
    """
    stereo = to_stereo(samples)
    if _filter_numbers(rate) > _FILTER_NUMBERS:
        # torchaudio keeps one filter for each phase of the reduced ratio: 17 GB for a rate such as
        # 44,101 Hz. soxr interpolates its filter and takes any ratio.
        stereo, rate = resample(stereo, rate, SAMPLE_RATE), SAMPLE_RATE
    waveform = torch.from_numpy(np.array(stereo.T, order="C")).to(device)
    resampled: torch.Tensor = torchaudio.functional.resample(waveform, rate, SAMPLE_RATE)
    return resampled.clamp(-1, 1)


def is_silent(waveform: torch.Tensor) -> bool:
    """Whether it is silent."""
    return waveform.numel() == 0 or float(waveform.abs().max()) < SILENCE


def reference_segments(waveform: torch.Tensor) -> torch.Tensor:
    """30 s of ``waveform`` [2, n]: ten each from its first, middle and last third.

    If it is shorter, it is repeated until it is 30 s long. Upstream starts at random places within
    each third; fixed places, which diffusers also uses, give the same music for the same request.
    """
    samples = waveform.shape[-1]
    if samples < SEGMENTS * SEGMENT:
        waveform = waveform.repeat(1, math.ceil(SEGMENTS * SEGMENT / samples))
        samples = waveform.shape[-1]
    starts = (0, samples // SEGMENTS, samples - SEGMENT)
    return torch.cat([waveform[:, start : start + SEGMENT] for start in starts], dim=-1)


def encode(vae: AutoencoderOobleck, waveform: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Latents [1, n // 1920, channels] of ``waveform`` [2, n].

    The VAE returns a distribution. Upstream and diffusers draw from it with the global random
    state; this function uses its own generator with one fixed seed, so that the same audio has the
    same latents in every take and every attempt, whatever ran before.
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
