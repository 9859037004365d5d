"""XL models: a wider transformer over the encoders of the others, in shards."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.checkpoints.convert import convert_checkpoint
from acestep_ray.decoder.checkpoints.load import Loaded, load
from acestep_ray.decoder.checkpoints.sizes import TINY_XL
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.diffusers.engine import DiffusersDecoder
from acestep_ray.decoder.protocol import DecodeRequest, Sources
from tests.models.decoder.checkpoints.plain_dit import velocity, weights_of


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As published: stored as fp32, in several files."""
    folder = tmp_path_factory.mktemp("xl")
    make_tiny_checkpoint(folder, size=TINY_XL, dtype=torch.float32, shard_bytes=150_000)
    return folder


@pytest.fixture(scope="module")
def xl(checkpoints: Path) -> Loaded:
    return load(checkpoints, "", "cpu", torch.float32)


def test_the_layout_is_that_of_the_published_models(checkpoints: Path, xl: Loaded) -> None:
    model = checkpoints / "acestep-v15-xl-turbo"
    assert (model / "model.safetensors.index.json").is_file()
    config = json.loads((model / "config.json").read_text())
    assert config["hidden_size"] > config["encoder_hidden_size"]
    assert config["head_dim"] * config["num_attention_heads"] > config["hidden_size"]
    assert (xl.info.name, xl.info.xl, xl.info.turbo) == ("acestep-v15-xl-turbo", True, True)
    assert xl.info.has_audio_tokenizer


@pytest.mark.parametrize("frames", [50, 51])
def test_the_transformer_computes_what_its_file_says(
    checkpoints: Path, xl: Loaded, frames: int
) -> None:
    model = checkpoints / "acestep-v15-xl-turbo"
    config = json.loads((model / "config.json").read_text())
    random = np.random.default_rng(frames)
    latents, context = random.normal(size=(frames, 64)), random.normal(size=(frames, 128))
    condition = random.normal(size=(21, config["encoder_hidden_size"]))
    expected = velocity(weights_of(model), config, latents, 0.7, condition, context)

    def given(numbers: Any) -> torch.Tensor:
        return torch.from_numpy(numbers).float()[None]

    with torch.inference_mode():
        found = xl.pipeline.transformer(
            hidden_states=given(latents),
            timestep=torch.tensor([0.7]),
            timestep_r=torch.tensor([0.7]),
            encoder_hidden_states=given(condition),
            context_latents=given(context),
            return_dict=False,
        )[0][0]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found.double().numpy(), expected, atol=2e-5)


def test_songs_covers_and_guidance_work(tmp_path: Path) -> None:
    """The base model's null condition has the encoder's width, not the transformer's."""
    make_tiny_checkpoint(tmp_path, size=TINY_XL, turbo=False)
    engine = DiffusersDecoder.load(tmp_path, device="cpu", dtype="fp32")
    described = engine.describe()
    assert (described.model, described.xl) == ("acestep-v15-xl-base", True)
    assert (described.recommended_steps, described.turbo) == (50, False)
    for codes in ((), ((7, 8) * 10,)):
        request = DecodeRequest(
            job_id="job", attempt=1, caption="rain", seconds=4, codes=codes, seeds=(1, 2),
            steps=2, guidance_scale=5,
        )  # fmt: skip
        takes = list(engine.generate(request, Sources(), lambda *_: None))
        assert [len(take.samples) for take in takes] == [4 * 48_000] * 2
        assert all(np.isfinite(take.samples).all() for take in takes)


def test_a_converted_model_is_the_same_one(checkpoints: Path, xl: Loaded, tmp_path: Path) -> None:
    convert_checkpoint(checkpoints, tmp_path / "acestep-v15-xl-turbo", dtype=torch.float32)
    again = load(tmp_path, "", "cpu", torch.float32)
    assert (again.info.xl, again.info.layout) == (True, "diffusers")
    ours, theirs = (one.pipeline.transformer.state_dict() for one in (again, xl))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
