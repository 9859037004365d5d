"""A compiled model makes the same music, for any length, and one that cannot be compiled runs.

The graphs are captured as for a GPU, and run by torch's own kernels: no C++ compiler is needed.
"""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch._dynamo.utils

from acestep_ray.decoder.checkpoints.sizes import TINY
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.diffusers.compiled import keep_compiled
from acestep_ray.decoder.diffusers.engine import DiffusersDecoder
from acestep_ray.decoder.protocol import DecodeRequest, Sources
from acestep_ray.timebase import Samples
from tests.models.decoder.diffusers.test_sung_text import HEADS, LYRICS
from tests.models.decoder.diffusers.tiny import DEVICE, alike, request, source

JOBS: list[tuple[DecodeRequest, Sources]] = [
    (request(seconds=5.0, seeds=(1,)), Sources()),
    (request(seconds=24.04, seeds=(1, 2, 3), guidance_scale=5.0), Sources()),
    (request(task="repaint", repaint_start=1.0, repaint_end=2.0, seeds=(5,)), source(200_000)),
]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What was compiled belongs to the process."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


@pytest.fixture
def one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is needed for it is compiled at the start: each kind of input takes seconds."""
    monkeypatch.setattr("acestep_ray.decoder.diffusers.engine.KINDS_SECONDS", (6.0,))


def engine(checkpoints: Path, compiler: str) -> DiffusersDecoder:
    return DiffusersDecoder.load(
        checkpoints, "acestep-v15-base", device=str(DEVICE), dtype="fp32", compiler=compiler
    )


def samples(decoder: DiffusersDecoder, job: tuple[DecodeRequest, Sources]) -> list[Samples]:
    return [take.samples for take in decoder.generate(*job, lambda *_: None)]


def graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def test_the_same_music_and_no_graph_for_each_length(checkpoints: Path) -> None:
    plain, compiled = engine(checkpoints, ""), engine(checkpoints, "eager")
    before = graphs()
    assert before > 2
    for job in JOBS:
        assert alike(samples(compiled, job), samples(plain, job))
    used = graphs()
    for seconds in (7.0, 7.04, 13.0):
        samples(compiled, (request(seconds=seconds, seeds=(4,)), Sources()))
    # The kernels of a processor have limits of their own for the VAE's lengths.
    assert graphs() - used <= 2


@pytest.fixture
def with_heads(tmp_path: Path) -> Path:
    """A model of which the heads that follow the lyrics are known."""
    size = replace(TINY, dit=TINY.dit | {"lyric_alignment_layers_config": HEADS})
    return make_tiny_checkpoint(tmp_path, size=size, dtype=torch.float32)


@pytest.mark.usefixtures("one_length")
def test_times_and_scores_are_those_of_the_model_as_it_is(with_heads: Path) -> None:
    """Attention is read by hooks, which compiled code would not run."""
    job = request(lyrics=LYRICS, seconds=6.0, seeds=(7,), lrc=True, scores=True), Sources()
    folder = with_heads.parent
    plain = DiffusersDecoder.load(folder, device=str(DEVICE), dtype="fp32")
    compiled = DiffusersDecoder.load(folder, device=str(DEVICE), dtype="fp32", compiler="eager")
    (ours,), (theirs,) = (
        list(decoder.generate(*job, lambda *_: None)) for decoder in (compiled, plain)
    )
    assert ours.lrc
    assert (ours.lrc, ours.scores) == (theirs.lrc, theirs.scores)


def in_a_context_of_its_own(made: Callable[[], list[Samples]]) -> list[Samples]:
    """As jobs are made: in another thread, with a context that the start did not change."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(Context().run, made).result()


@pytest.mark.usefixtures("one_length")
def test_a_kind_of_input_that_cannot_be_compiled_later_is_made_without(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, plain = engine(checkpoints, "fails_later"), engine(checkpoints, "")
    monkeypatch.setattr(FailsLater, "fails", True)
    job = (request(seconds=12.0, seeds=(1,)), Sources())
    torch._dynamo.reset()  # so that this job, too, needs a graph
    made = in_a_context_of_its_own(lambda: samples(decoder, job))
    assert FailsLater.failed > 0
    assert alike(made, samples(plain, job))


class FailsLater:
    """A backend that cannot compile any more after the start."""

    fails = False
    failed = 0


@torch._dynamo.register_backend(name="fails_later")
def fails_later(module: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
    if FailsLater.fails:
        FailsLater.failed += 1
        raise RuntimeError("the disk is full")
    return module.forward


@torch._dynamo.register_backend(name="without_compiler")
def without_compiler(module: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> None:
    raise RuntimeError("no working C++ compiler was found\nand so on")


@pytest.mark.parametrize(
    ("backend", "reason"),
    [("no such backend", "no such backend"), ("without_compiler", "no working C++ compiler")],
)
def test_who_cannot_be_compiled_runs_as_it_is(
    checkpoints: Path, caplog: pytest.LogCaptureFixture, backend: str, reason: str
) -> None:
    with caplog.at_level(logging.WARNING):
        decoder = engine(checkpoints, backend)
    (warning,) = [record for record in caplog.records if "compiled" in record.getMessage()]
    assert reason in warning.getMessage()
    assert "\n" not in warning.getMessage()
    plain = engine(checkpoints, "")
    assert alike(samples(decoder, JOBS[0]), samples(plain, JOBS[0]))
    assert graphs() == 0


def test_what_is_compiled_is_kept_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    keep_compiled(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)
    keep_compiled(tmp_path / "other")
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)
