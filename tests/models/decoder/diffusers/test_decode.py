"""Latents to audio in tiles: the same audio, in pieces."""

import numpy as np
import pytest
import torch

from acestep_ray.decoder.diffusers.decode import decode
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, alike


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(1, 1000, 64, generator=torch.Generator().manual_seed(5)).to(DEVICE)


@pytest.mark.parametrize("frames", [1, 64, 383, 384, 385, 512, 513, 769, 1000])
def test_tiles_make_what_one_go_makes(turbo: Tiny, latents: torch.Tensor, frames: int) -> None:
    vae = turbo.pipeline.vae
    ticks: list[int] = []
    part = latents[:, :frames]
    tiled = decode(vae, part, 0, frames, tiled=True, tick=lambda: ticks.append(1))
    whole = decode(vae, part, 0, frames, tiled=False, tick=lambda: ticks.append(1))
    assert tiled.shape == (frames * 1920, 2)
    assert tiled.dtype == np.float32
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert len(ticks) == (frames - 1) // 384


def test_diffusers_tiles(turbo: Tiny, latents: torch.Tensor) -> None:
    with torch.no_grad():
        theirs = turbo.pipeline.vae.decode(latents.transpose(1, 2)).sample
    ours = decode(turbo.pipeline.vae, latents, 0, 1000, tiled=True, tick=lambda: None)
    assert alike([ours], [theirs[0].T.cpu().numpy()])


@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize(("first", "last"), [(0, 20), (90, 95), (300, 900), (999, 1000)])
def test_a_part_of_a_piece(
    turbo: Tiny, latents: torch.Tensor, first: int, last: int, tiled: bool
) -> None:
    vae = turbo.pipeline.vae
    whole = decode(vae, latents, 0, 1000, tiled=False, tick=lambda: None)
    part = decode(vae, latents, first, last, tiled=tiled, tick=lambda: None)
    np.testing.assert_allclose(part, whole[first * 1920 : last * 1920], atol=1e-5)


def test_a_part_in_tiles_costs_only_its_tiles(turbo: Tiny, latents: torch.Tensor) -> None:
    turbo.voice.received.clear()
    decode(turbo.pipeline.vae, latents, 500, 510, tiled=True, tick=lambda: None)
    assert [latents.shape[1] for latents in turbo.voice.received] == [10 + 2 * 64]
