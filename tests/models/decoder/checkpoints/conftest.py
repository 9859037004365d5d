"""Tiny checkpoints, made once per run, and a plain call of the pipeline to compare with."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from acestep_ray.decoder.checkpoints.load import Loaded, load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint

Generate = Callable[..., torch.Tensor]
Load = Callable[[Path, str, torch.dtype], Loaded]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine, threads that wait for each other take ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``checkpoints/`` folder with a turbo and a base model, bf16, seed 0. Read only."""
    folder = tmp_path_factory.mktemp("upstream")
    make_tiny_checkpoint(folder, "upstream", turbo=True)
    make_tiny_checkpoint(folder, "upstream", turbo=False)
    return folder


@pytest.fixture(scope="session")
def turbo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same turbo model in the diffusers format. Read only."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("diffusers") / "turbo", "diffusers")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same base model in the diffusers format. Read only."""
    folder = tmp_path_factory.mktemp("diffusers") / "base"
    return make_tiny_checkpoint(folder, "diffusers", turbo=False)


@pytest.fixture(scope="session")
def loaded() -> Load:
    """Loads the checkpoints above on the CPU, each once per run. Tests do not change them."""
    return functools.cache(lambda folder, model, dtype: load(folder, model, "cpu", dtype))


@pytest.fixture
def generate() -> Generate:
    """Latents of a plain pipeline call, [1, 100, 64]."""

    def latents(pipeline: Any, **options: Any) -> torch.Tensor:
        call = {
            "prompt": "a slow piano ballad",
            "lyrics": "[verse]\nla la la",
            "audio_duration": 4.0,
            "num_inference_steps": 2,
            "guidance_scale": 1.0,
            "generator": torch.Generator().manual_seed(7),
            "output_type": "latent",
        }
        result: torch.Tensor = pipeline(**call | options).audios
        return result

    return latents
