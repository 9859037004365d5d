"""Client audio: any rate, any channels, silence, and what is kept of a reference."""

import numpy as np
import pytest
import torch
import torchaudio

from acestep_ray.decoder.diffusers.audio import (
    encode,
    is_silent,
    reference_segments,
    to_48k_stereo,
)
from acestep_ray.timebase import Samples
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, music, on_device


def tone(rate: int, seconds: float = 1.0) -> Samples:
    """A 440 Hz sine, [samples, 2]."""
    time = np.arange(int(rate * seconds)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * 440 * time)[:, np.newaxis], 2, 1).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 44_101, 47_999])
def test_any_rate(rate: int) -> None:
    """44,101 Hz would need a filter of 17 GB in torchaudio."""
    waveform = to_48k_stereo(tone(rate), rate, DEVICE)
    assert waveform.dtype == torch.float32
    assert abs(waveform.shape[1] - 48_000) <= 2
    expected = on_device(tone(48_000))
    middle = slice(4000, 44_000)
    assert (waveform[:, middle] - expected[:, middle]).abs().max() < 0.01


def test_as_torchaudio_does_it() -> None:
    audio = music(44_100)
    expected = torchaudio.functional.resample(on_device(audio), 44_100, 48_000)
    assert torch.equal(to_48k_stereo(audio, 44_100, DEVICE), expected.clamp(-1, 1))


def test_at_48_khz_nothing_is_changed() -> None:
    audio = music(5000)
    assert torch.equal(to_48k_stereo(audio, 48_000, DEVICE), on_device(audio))


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels(channels: int) -> None:
    audio = music(1000, channels=channels)
    waveform = to_48k_stereo(audio, 48_000, DEVICE).cpu().numpy()
    assert np.array_equal(waveform[0], audio[:, 0])
    assert np.array_equal(waveform[1], audio[:, min(1, channels - 1)])


def test_read_only_and_loud_audio() -> None:
    audio = np.full((500, 1), 1.7, dtype=np.float32)
    audio.flags.writeable = False
    waveform = to_48k_stereo(audio, 48_000, DEVICE)
    assert torch.all(waveform == 1)
    assert audio[0, 0] == np.float32(1.7)


def test_what_counts_as_silence() -> None:
    assert is_silent(torch.zeros(2, 100))
    assert is_silent(torch.zeros(2, 0))
    assert is_silent(torch.full((2, 100), 2**-15))  # the last bit of 16
    assert not is_silent(torch.full((2, 100), 1e-3))


@pytest.mark.parametrize("seconds", [0.001, 9, 30, 31.7, 100])
def test_reference_segments(seconds: float) -> None:
    waveform = torch.arange(int(seconds * 48_000), dtype=torch.float32).expand(2, -1)
    thirty = reference_segments(waveform)
    assert thirty.shape == (2, 1_440_000)
    front, middle, back = thirty[0].reshape(3, 480_000)
    assert front[0] == 0
    if seconds >= 30:
        samples = waveform.shape[1]
        assert middle[0] == samples // 3
        assert back[-1] == samples - 1


def test_the_real_encoder_keeps_its_frame_maths(checkpoints: object) -> None:
    """The other tests replace it."""
    from pathlib import Path

    from acestep_ray.decoder.checkpoints.load import load

    assert isinstance(checkpoints, Path)
    vae = load(checkpoints, "acestep-v15-turbo", str(DEVICE), torch.float32).pipeline.vae
    with torch.no_grad():
        latents = encode(vae, on_device(music(4 * 1920 + 1900)), torch.float32)
        assert latents.shape == (1, 4, 64)
        assert vae.decoder(latents.transpose(1, 2)).shape == (1, 2, 4 * 1920)


def test_the_same_audio_has_the_same_latents(turbo: Tiny) -> None:
    audio = on_device(music(96_000))
    with torch.no_grad():
        torch.manual_seed(1)
        first = encode(turbo.pipeline.vae, audio, torch.float32)
        torch.manual_seed(2)
        second = encode(turbo.pipeline.vae, audio, torch.float32)
        mean = turbo.pipeline.vae.encode(audio[None]).latent_dist.mode().transpose(1, 2)
    assert torch.equal(first, second)
    assert (first - mean).abs().max() > 0.1, "drawn from the distribution, as upstream does"


def test_long_audio_is_encoded_in_tiles(turbo: Tiny) -> None:
    audio = on_device(music(65 * 48_000 + 11))
    with torch.no_grad():
        latents = encode(turbo.pipeline.vae, audio, torch.float32)
    assert latents.shape == (1, 65 * 25, 64)
