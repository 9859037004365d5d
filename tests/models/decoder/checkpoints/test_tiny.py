"""The tiny checkpoint behaves like the real one: frames, seeds, guidance, conditions."""

from pathlib import Path
from typing import Any

import pytest
import torch

from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.errors import CheckpointError


@pytest.fixture
def turbo_pipeline(upstream: Path, loaded: Any) -> Any:
    return loaded(upstream, "acestep-v15-turbo", torch.float32).pipeline


@pytest.fixture
def base_pipeline(upstream: Path, loaded: Any) -> Any:
    return loaded(upstream, "acestep-v15-base", torch.float32).pipeline


def test_ten_seconds_are_250_frames_and_480000_samples(turbo_pipeline: Any, generate: Any) -> None:
    assert generate(turbo_pipeline, audio_duration=10.0).shape == (1, 250, 64)
    audio = generate(turbo_pipeline, audio_duration=10.0, output_type="pt")
    assert audio.shape == (1, 2, 480_000)
    assert audio.isfinite().all()
    assert audio.std() > 0.01
    assert not torch.equal(audio[0, 0], audio[0, 1])


def test_audio_becomes_25_latents_a_second_of_64_channels(turbo_pipeline: Any) -> None:
    with torch.no_grad():
        latents = turbo_pipeline.vae.encode(torch.zeros(1, 2, 48_000)).latent_dist.mode()
    assert latents.shape == (1, 64, 25)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "loud techno"},
        {"lyrics": "[verse]\nna na na"},
        {"bpm": 90},
        {"vocal_language": "zh"},
        {"generator": torch.Generator().manual_seed(8)},
        {"audio_codes": "<|audio_code_777|>" * 20},
        {"shift": 1.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_condition_changes_the_music(
    change: dict[str, Any], turbo_pipeline: Any, generate: Any
) -> None:
    difference = generate(turbo_pipeline, **change) - generate(turbo_pipeline)
    assert difference.abs().mean() > 1e-4


def test_guidance_and_the_null_condition_matter_on_base(
    base_pipeline: Any, generate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = generate(base_pipeline)
    guided = generate(base_pipeline, guidance_scale=7.0)
    assert (guided - plain).abs().mean() > 1e-2
    encoder = base_pipeline.condition_encoder
    other = torch.nn.Parameter(torch.zeros_like(encoder.null_condition_emb), requires_grad=False)
    monkeypatch.setattr(encoder, "null_condition_emb", other)
    assert (generate(base_pipeline, guidance_scale=7.0) - guided).abs().mean() > 1e-3


def test_a_seed_gives_the_same_files_again(tmp_path: Path, upstream: Path) -> None:
    model = make_tiny_checkpoint(tmp_path)
    for name in ("model.safetensors", "config.json"):
        first = upstream / "acestep-v15-turbo" / name
        assert (model / name).read_bytes() == first.read_bytes()


def test_another_seed_gives_other_music(tmp_path: Path, turbo_pipeline: Any, generate: Any) -> None:
    make_tiny_checkpoint(tmp_path, seed=1)
    other = load(tmp_path, "", "cpu", torch.float32).pipeline
    assert not torch.equal(generate(other), generate(turbo_pipeline))


def test_a_second_model_shares_vae_and_text_encoder(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path, turbo=True)
    vae = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    written = vae.stat().st_mtime_ns
    lines: list[str] = []
    make_tiny_checkpoint(tmp_path, turbo=False, report=lines.append)
    assert vae.stat().st_mtime_ns == written
    assert "keeping vae, which is there" in lines
    assert load(tmp_path, "acestep-v15-base", "cpu", torch.bfloat16).info.name == "acestep-v15-base"


@pytest.mark.parametrize("layout", ["upstream", "diffusers"])
def test_nothing_is_overwritten(layout: Any, tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path / "m", layout)
    with pytest.raises(CheckpointError, match="exists already: remove it or write elsewhere"):
        make_tiny_checkpoint(tmp_path / "m", layout, seed=1)
