"""Models that were tuned to make single tracks read captions of a form of their own."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from acestep_ray.decoder.checkpoints.convert import convert_checkpoint
from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.sizes import TINY
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.protocol import TASKS
from tests.models.decoder.diffusers.plain import model_of, numbers, sampled, times_of
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, noise, request
from tests.models.decoder.diffusers.upstream import Side, all_of, silence

TEXT2MUSIC = "Fill the audio semantic mask based on the given conditions:"


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lego")
    size = dataclasses.replace(TINY, dit=TINY.dit | {"is_lego_sft": True})
    make_tiny_checkpoint(folder, turbo=False, size=size)
    (folder / "acestep-v15-base").rename(folder / "acestep-v15-sft-stems")
    return folder


@pytest.fixture(scope="module")
def lego(tracks: Path) -> Tiny:
    return Tiny.of(load(tracks, "", str(DEVICE), torch.float32))


@pytest.mark.parametrize(
    ("values", "caption"),
    [
        (
            {"global_caption": "a rock song"},
            "Global: a rock song\nLocal: loud drums\nMask Control: false",
        ),
        ({}, "Global: \nLocal: loud drums\nMask Control: false"),
        (
            {"instruction": "Generate a segment of drums:", "chunk_mask_mode": "explicit"},
            "Local: loud drums\nMask Control: true",
        ),
    ],
)
def test_the_caption_that_the_model_reads(lego: Tiny, values: dict[str, Any], caption: str) -> None:
    """The engine's latents equal those of a plain model that reads the caption in that form."""
    asked = request(caption="loud drums", seconds=6, steps=3, **values)
    plain = asked.model_copy(update={"caption": caption})
    side = Side(asked.instruction or TEXT2MUSIC, all_of(silence(lego.pipeline, 150)))
    expected = sampled(
        asked,
        numbers(noise(asked.seeds, 150)),
        times_of(3, asked.shift),
        model_of(lego, plain, side, 150),
        without_text=model_of(lego, plain, side, 150, text=False),
    )
    found = lego.latents(asked)
    torch.testing.assert_close(found.double().cpu(), torch.from_numpy(expected), atol=1e-4, rtol=0)
    unread = model_of(lego, asked, side, 150)(numbers(noise(asked.seeds, 150)), 1.0)
    read = model_of(lego, plain, side, 150)(numbers(noise(asked.seeds, 150)), 1.0)
    assert abs(unread - read).max() > 1e-3, "the caption's form makes no difference here"


def test_other_models_read_the_caption_alone(base: Tiny) -> None:
    asked = request(caption="loud drums", seconds=6)
    told = asked.model_copy(update={"global_caption": "a rock song"})
    assert torch.equal(base.latents(asked), base.latents(told))


def test_it_makes_tracks_whatever_its_name_is(lego: Tiny, tracks: Path, tmp_path: Path) -> None:
    described = lego.engine.describe()
    assert described.lego_sft and described.tasks == TASKS
    convert_checkpoint(tracks, tmp_path / "acestep-v15-sft-stems", dtype=torch.float32)
    again = load(tmp_path, "", "cpu", torch.float32)
    assert again.info.lego_sft and again.info.tasks == TASKS


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, False),
        ({"chunk_mask_mode": "explicit"}, True),
        ({"task": "lego"}, True),  # is shown its window, unlike upstream's
        ({"task": "lego", "chunk_mask_mode": "auto"}, False),
        ({"task": "repaint"}, True),
        ({"task": "repaint", "repaint_mode": "balanced"}, False),
        ({"task": "cover"}, False),
    ],
)
def test_when_the_caption_names_the_mask(values: dict[str, Any], named: bool) -> None:
    assert request(**values).names_window is named
