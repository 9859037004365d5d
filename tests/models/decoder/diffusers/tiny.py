"""A tiny random model with the real frame maths, and stand-ins for the slow halves of its VAE.

Encoding a second of audio costs the tiny VAE as much as the published one. A single convolution has
the same frame maths, and a decoder that stores its input shows a job's final latents.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import AceStepPipeline
from torch import nn

from acestep_ray.decoder.checkpoints.load import Loaded
from acestep_ray.decoder.diffusers.engine import DiffusersDecoder
from acestep_ray.decoder.protocol import DecodeRequest, RenderedTake, Sources
from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples

DEVICE = torch.device(os.environ.get("ACESTEP_TEST_DEVICE", "cpu"))
CHANNELS = 64


class Ear(nn.Module):
    """Audio [n, 2, samples] to the mean and scale of latents, [n, 128, samples // 1920]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 2 * CHANNELS, SAMPLES_PER_FRAME, stride=SAMPLES_PER_FRAME)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self.conv(audio)
        return latents


class Voice(nn.Module):
    """Latents [n, 64, frames] to audio [n, 2, frames * 1920]; each frame extends into the next."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(
            CHANNELS, 2, 3 * SAMPLES_PER_FRAME, stride=SAMPLES_PER_FRAME, padding=SAMPLES_PER_FRAME
        )
        self.received: list[torch.Tensor] = []

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        self.received.append(latents.transpose(1, 2).clone())
        audio: torch.Tensor = self.conv(latents)
        return audio


def stand_in(module: nn.Module, gain: float) -> nn.Module:
    """Seeded random weights, on the device and without gradients."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        scale = gain / parameter[0].numel() ** 0.5
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    return module.to(DEVICE).eval().requires_grad_(False)


@dataclass
class Tiny:
    """An engine, and the pipeline in it."""

    engine: DiffusersDecoder
    loaded: Loaded
    voice: Voice

    @classmethod
    def of(cls, loaded: Loaded, device: torch.device = DEVICE, **options: Any) -> "Tiny":
        """``options``: those of the engine."""
        voice = Voice()
        loaded.pipeline.vae.encoder = stand_in(Ear(), 10)
        loaded.pipeline.vae.decoder = stand_in(voice, 0.3)
        return cls(DiffusersDecoder(loaded, device, **options), loaded, voice)

    @property
    def pipeline(self) -> AceStepPipeline:
        return self.loaded.pipeline

    def takes(self, request: DecodeRequest, sources: Sources | None = None) -> list[RenderedTake]:
        return list(self.engine.generate(request, sources or Sources(), lambda *_: None))

    def samples(self, request: DecodeRequest, sources: Sources | None = None) -> list[Samples]:
        return [take.samples for take in self.takes(request, sources)]

    def latents(self, request: DecodeRequest, sources: Sources | None = None) -> torch.Tensor:
        """What the VAE got to decode, [takes, frames, 64]; for pieces too short for tiles."""
        self.voice.received.clear()
        self.takes(request, sources)
        received = torch.cat(self.voice.received)
        assert len(received) == len(request.seeds), "the piece was decoded in tiles"
        return received

    def latents_by(self, pipeline: AceStepPipeline, request: DecodeRequest) -> torch.Tensor:
        """Those that another pipeline makes, with the VAE of this one."""
        own = self.loaded
        other = Tiny(DiffusersDecoder(replace(own, pipeline=pipeline), DEVICE), own, self.voice)
        return other.latents(request)

    def called(self, **inputs: Any) -> torch.Tensor:
        """Latents of a plain call of diffusers' pipeline."""
        # Repaint and cover draw their source latents with the global generator.
        torch.manual_seed(0)
        latents: torch.Tensor = self.pipeline(output_type="latent", **inputs).audios
        return latents


def noise(seeds: Sequence[int], frames: int) -> torch.Tensor:
    """[seeds, frames, 64] as ACE-Step draws it: one generator per take, on the device."""
    return torch.cat(
        [
            torch.randn(
                1,
                frames,
                CHANNELS,
                generator=torch.Generator(DEVICE).manual_seed(seed),
                device=DEVICE,
            )
            for seed in seeds
        ]
    )


def request(**values: Any) -> DecodeRequest:
    """A text2music request of 10 s, two steps and one take, with ``values`` in it."""
    asked: dict[str, Any] = {
        "job_id": "job",
        "attempt": 1,
        "task": "text2music",
        "caption": "warm analog synths over a slow beat",
        "lyrics": "[verse]\nnight falls over the bay",
        "vocal_language": "en",
        "bpm": 92,
        "key_scale": "F# minor",
        "time_signature": "3",
        "seconds": 10.0,
        "seeds": (7,),
        "steps": 2,
        "guidance_scale": 1.0,
        # As before these were there: results can be compared with diffusers', which has neither.
        "dcw_enabled": False,
        "repaint_mode": "aggressive",
    }
    return DecodeRequest(**asked | values)


def prompt(asked: DecodeRequest) -> dict[str, Any]:
    """The same as keyword arguments of the pipeline."""
    return {
        "prompt": [asked.caption],
        "lyrics": [asked.lyrics],
        "vocal_language": asked.vocal_language,
        "bpm": asked.bpm,
        "keyscale": asked.key_scale,
        "timesignature": asked.time_signature,
        "num_inference_steps": asked.steps,
        "guidance_scale": asked.guidance_scale,
        "shift": asked.shift,
    }


def music(samples: int, seed: int = 0, channels: int = 2) -> Samples:
    """Noise that swells and fades, at a level with headroom, [samples, channels]."""
    numbers = np.random.default_rng(seed).standard_normal((samples, channels))
    swell = 0.15 + 0.05 * np.sin(np.arange(samples) / 9000)
    return (0.5 * numbers * swell[:, np.newaxis]).astype(np.float32)


def source(samples: int, seed: int = 0) -> Sources:
    """Source audio of so many samples at 48 kHz."""
    return Sources(source=music(samples, seed), source_rate=48_000)


def alike(ours: Sequence[Samples], theirs: Sequence[Samples]) -> bool:
    """The same takes: bit for bit on the CPU, except for rounding on a GPU."""
    same = np.array_equal if DEVICE.type == "cpu" else partial(np.allclose, atol=1e-4)
    return len(ours) == len(theirs) and all(map(same, ours, theirs))


def on_device(audio: Samples) -> torch.Tensor:
    """[samples, 2] in the pipeline's form, [2, samples]."""
    return torch.from_numpy(np.array(audio.T, order="C")).to(DEVICE)
