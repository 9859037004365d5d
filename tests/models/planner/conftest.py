"""A tiny language model with the real vocabulary, made once per session."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.load import load_lm
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.transformers.static_step import StaticSteps
from acestep_ray.planner.transformers.tiny import make_tiny_lm
from acestep_ray.planner.transformers.writing import TextWriter
from acestep_ray.settings import Lm, Lyrics

TINY = "acestep-5Hz-lm-tiny"
DEVICE = os.environ.get("ACESTEP_TEST_DEVICE", "cpu")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and lose much if other processes need the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    make_tiny_lm(folder / TINY, seed=1)
    return folder


@pytest.fixture(scope="session")
def folder(checkpoints: Path) -> Path:
    return checkpoints / TINY


@pytest.fixture(scope="session")
def lm(folder: Path) -> LanguageModel:
    """With the same float32 weights on a GPU, where it also uses CUDA graphs: tests compare."""
    lm = load_lm(folder, Lm(device="cpu"))
    if DEVICE == "cpu":
        return lm
    lm.model.to(DEVICE)
    return replace(lm, static=StaticSteps(lm.model, lm.context))


@pytest.fixture(scope="session")
def planning(lm: LanguageModel) -> Planning:
    return Planning(lm, Lm(), Lyrics(), 60.0)


@pytest.fixture(scope="session")
def terse(lm: LanguageModel) -> Planning:
    """Its captions are short: they take most of a plan's time."""
    return Planning(lm, Lm(caption_tokens=10), Lyrics(), 60.0)


@pytest.fixture(scope="session")
def writer(lm: LanguageModel) -> TextWriter:
    """Its texts are short."""
    return TextWriter(lm, Lm(caption_tokens=8, lyrics_tokens=8), Lyrics())
