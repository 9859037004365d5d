"""What the engine serves, what it refuses, and what its takes look like."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.diffusers.device import DTYPES
from acestep_ray.decoder.diffusers.engine import DiffusersDecoder
from acestep_ray.decoder.protocol import DecoderEngine, DecoderError, Sources
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, alike, music, request, source

PEAK = 10 ** (-1 / 20)


def test_description(turbo: Tiny, base: Tiny) -> None:
    engine: DecoderEngine = turbo.engine
    described = engine.describe()
    assert described.engine == "diffusers"
    assert described.model == "acestep-v15-turbo"
    assert described.tasks == ("text2music", "cover", "cover-nofsq", "repaint")
    assert described.turbo
    assert not described.mock
    assert described.device.startswith(str(DEVICE))
    assert not base.engine.describe().turbo
    assert set(base.engine.describe().tasks) > {"lego", "extract", "complete"}


@pytest.mark.parametrize(
    ("values", "sources", "frames"),
    [
        ({"seconds": 1.0}, Sources(), 25),
        ({"seconds": 16.6}, Sources(), 415),
        ({"codes": ((5,) * 11,)}, Sources(), 55),
        ({"task": "cover"}, source(100_000), 52),
        ({"task": "repaint"}, source(100_000), 52),
        ({"task": "repaint", "repaint_start": -1.0, "repaint_end": 3.0}, source(100_000), 100),
    ],
)
def test_takes(turbo: Tiny, values: dict[str, Any], sources: Sources, frames: int) -> None:
    takes = turbo.takes(request(**values, seeds=(9, 2**32 - 1)), sources)
    assert [(take.index, take.seed) for take in takes] == [(0, 9), (1, 2**32 - 1)]
    for take in takes:
        assert take.samples.shape == (frames * 1920, 2)
        assert take.samples.dtype == np.float32
        assert take.samples.flags.c_contiguous
        assert take.warnings == ()
        if values.get("task") != "repaint":
            assert np.abs(take.samples).max() == pytest.approx(PEAK, abs=1e-6)


def test_reports(turbo: Tiny) -> None:
    reports: list[tuple[str, int, int]] = []
    asked = request(steps=3, seeds=(1, 2))
    for take in turbo.engine.generate(asked, Sources(), lambda *report: reports.append(report)):
        assert reports[-1] == ("vae", take.index + 1, 2)
    diffusion = [("diffusion", step, 3) for step in range(4)]
    vae = [("vae", 0, 2), ("vae", 1, 2), ("vae", 2, 2)]
    assert reports == [("encoding", 0, 1), *diffusion, *vae]


def test_a_long_piece_is_tiled_and_reported_between_tiles(turbo: Tiny) -> None:
    reports: list[tuple[str, int, int]] = []
    asked = request(steps=1, seconds=40.0)
    (take,) = turbo.engine.generate(asked, Sources(), lambda *report: reports.append(report))
    assert reports.count(("vae", 0, 1)) == 3
    assert take.samples.shape == (40 * 48_000, 2)
    assert take.warnings == ()


def test_tiles_are_left_out_on_request_but_not_for_the_longest(turbo: Tiny) -> None:
    asked = request(steps=1, seconds=40.0, use_tiled_decode=False)
    turbo.voice.received.clear()
    turbo.takes(asked)
    assert [len(latents[0]) for latents in turbo.voice.received] == [1000]
    strict = DiffusersDecoder(turbo.loaded, DEVICE, whole_seconds=30)
    turbo.voice.received.clear()
    (take,) = strict.generate(asked, Sources(), lambda *_: None)
    assert len(turbo.voice.received) == 3
    assert take.warnings == ("Pieces longer than 30 s are always decoded in tiles.",)


def test_a_silent_reference_is_none(turbo: Tiny) -> None:
    asked = request()
    silent = Sources(reference=np.zeros((90_000, 2), np.float32), reference_rate=44_100)
    (take,) = turbo.takes(asked, silent)
    assert take.warnings == ("The reference audio is silent, so it is not used.",)
    assert alike([take.samples], turbo.samples(asked))
    heard = Sources(reference=music(90_000), reference_rate=44_100)
    assert not np.array_equal(take.samples, turbo.samples(asked, heard)[0])


def test_a_silent_source_is_heard_as_silence_itself(turbo: Tiny) -> None:
    asked = request(task="repaint", repaint_start=0.0)
    silent = Sources(source=np.zeros((250 * 1920, 2), np.float32), source_rate=48_000)
    with_window = turbo.latents(asked, silent)
    text2music = request(instruction="Repaint the mask area based on the given conditions:")
    assert torch.equal(with_window, turbo.latents(text2music))


def test_codes_win_over_a_source(turbo: Tiny) -> None:
    asked = request(task="cover", codes=((3,) * 20,))
    assert alike(turbo.samples(asked, source(99_000)), turbo.samples(asked))


@pytest.mark.parametrize(
    ("values", "sources", "message"),
    [
        ({"task": "lego"}, source(100_000), "acestep-v15-turbo does not do lego"),
        ({"model": "another"}, Sources(), "This is acestep-v15-turbo, not another"),
        ({"task": "repaint"}, Sources(), "needs source audio"),
        ({"task": "cover"}, source(1000), "shorter than one frame"),
        ({"seconds": 0.03}, Sources(), "shorter than one frame"),
        ({"codes": ((1, 2), (3,)), "seeds": (1, 2)}, Sources(), r"differ in length \(1, 2\)"),
        ({"codes": ((1, 64_000),)}, Sources(), "no audio code 64000: they go from 0 to 63999"),
        ({"codes": ((-1,),)}, Sources(), "no audio code -1"),
        ({"codes": ((),)}, Sources(), "no audio codes"),
        (
            {"task": "repaint", "repaint_start": 9.0},
            source(100_000),
            "window is empty",
        ),
    ],
)
def test_refusals(turbo: Tiny, values: dict[str, Any], sources: Sources, message: str) -> None:
    with pytest.raises(DecoderError, match=message):
        turbo.takes(request(**values), sources)


def test_numbers_that_overflow_fail_the_job(turbo: Tiny) -> None:
    def overflow(module: object, args: object, output: tuple[torch.Tensor]) -> Any:
        return (output[0] * float("inf"),)

    for asked in (request(), request(task="repaint", repaint_start=1.0)):
        hook = turbo.pipeline.transformer.register_forward_hook(overflow)
        try:
            with pytest.raises(DecoderError, match="overflowed in torch"):
                turbo.takes(asked, source(100_000))
        finally:
            hook.remove()


def test_without_an_audio_tokenizer(tmp_path: Path) -> None:
    make_tiny_checkpoint(tmp_path, audio_tokenizer=False)
    tiny = Tiny.of(load(tmp_path, "", str(DEVICE), torch.float32))
    assert "cover" not in tiny.engine.describe().tasks
    with pytest.raises(DecoderError, match="no audio tokenizer"):
        tiny.takes(request(codes=((1,),)))
    assert len(tiny.takes(request(seconds=1.0))) == 1


def test_half_precision(checkpoints: Path) -> None:
    """In float16 the lyric encoder's numbers would be too large: it stays in float32."""
    for name, kept in (("fp16", torch.float32), ("bf16", torch.bfloat16)):
        engine = DiffusersDecoder.load(
            checkpoints, "acestep-v15-base", device=str(DEVICE), dtype=name
        )
        (take,) = engine.generate(
            request(seconds=1.0, guidance_scale=5.0), Sources(), lambda *_: None
        )
        assert np.abs(take.samples).max() == pytest.approx(PEAK, abs=1e-3)
        pipeline = engine._pipeline
        assert pipeline.condition_encoder.dtype == kept
        assert pipeline.transformer.dtype == DTYPES[name]


def test_loading_runs_a_piece_through_the_model(checkpoints: Path) -> None:
    loaded = load(checkpoints, "acestep-v15-turbo", str(DEVICE), torch.float32)
    calls = []
    loaded.pipeline.vae.decoder.register_forward_hook(lambda *_: calls.append(1))
    DiffusersDecoder(loaded, DEVICE)
    assert calls
    assert dataclasses.is_dataclass(loaded.info)
