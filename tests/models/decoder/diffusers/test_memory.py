"""If memory runs out, at most the job fails: in each phase, once and permanently."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from acestep_ray.decoder.protocol import DecodeRequest, OutOfMemoryError, RenderedTake
from acestep_ray.decoder.render import Rendering
from acestep_ray.timebase import Samples
from tests.models.decoder.diffusers.tiny import Tiny, alike, request, source

SOURCE = source(200_000)
COVER = {"task": "cover", "cover_strength": 0.5}
PHASES: list[tuple[str, int, dict[str, Any]]] = [
    # The module that runs out of memory, in which of its calls, on what job.
    ("text_encoder", 0, {}),
    ("condition_encoder", 0, {}),
    ("condition_encoder", 1, COVER),
    ("vae.encoder", 0, COVER),
    ("audio_tokenizer.attention_pooler", 0, COVER),
    ("audio_token_detokenizer", 0, COVER),
    ("transformer", 0, {}),
    ("transformer", 2, {}),
    ("vae.decoder", 0, {}),
    ("vae.decoder", 1, {}),
]


class Short(nn.Module):
    """A module whose device is out of memory in one of its calls, or in all calls from that one."""

    def __init__(self, module: nn.Module, call: int, for_good: bool, error: Exception) -> None:
        super().__init__()
        self.module = module
        self.calls = 0
        self.failing = range(call, 10**9 if for_good else call + 1)
        self.error = error
        self.inputs: list[weakref.ref[torch.Tensor]] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        self.inputs += map(weakref.ref, tensors)
        if self.calls - 1 in self.failing:
            raise self.error
        return self.module(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)


@contextmanager
def short_of_memory(
    tiny: Tiny, name: str, call: int, for_good: bool, error: Exception | None = None
) -> Iterator[Short]:
    """Inside the block, that part of the pipeline runs out of memory. What earlier jobs encoded is
    not kept."""
    tiny.engine.free_memory()
    owner: Any = tiny.pipeline
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    module = getattr(owner, last)
    short = Short(module, call, for_good, error or torch.OutOfMemoryError("CUDA out of memory."))
    setattr(owner, last, short)
    try:
        yield short
    finally:
        setattr(owner, last, module)


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Freeing memory searches for cycles; without this also in everything that the imports made."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def render(tiny: Tiny, asked: DecodeRequest) -> tuple[list[Samples], list[str]]:
    """As the decode worker runs a job: its takes in order, and its warnings."""
    takes: dict[int, Samples] = {}

    def emit(event: object) -> None:
        if isinstance(event, RenderedTake):
            takes[event.index] = event.samples

    rendering = Rendering(tiny.engine, asked, SOURCE, emit)
    rendering.run()
    return [takes[index] for index in sorted(takes)], rendering.warnings


@pytest.mark.parametrize(("name", "call", "values"), PHASES)
def test_once_with_two_takes_they_are_made_one_after_another(
    turbo: Tiny, name: str, call: int, values: dict[str, Any]
) -> None:
    asked = request(seconds=3.0, steps=4, seeds=(1, 2), **values)
    expected, _ = render(turbo, asked)
    with short_of_memory(turbo, name, call, for_good=False) as short:
        takes, warnings = render(turbo, asked)
    assert short.calls > call
    assert "one after another" in warnings[0]
    for take, other in zip(takes, expected, strict=True):
        assert np.allclose(take, other, atol=1e-3)
    again, warnings = render(turbo, asked)
    assert alike(again, expected)
    assert not warnings


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
@pytest.mark.parametrize(("name", "call", "values"), PHASES)
def test_for_good_fails_the_job_alone(
    turbo: Tiny, name: str, call: int, values: dict[str, Any], seeds: tuple[int, ...]
) -> None:
    asked = request(seconds=3.0, steps=4, seeds=seeds, **values)
    expected, _ = render(turbo, asked)
    if (name, call, len(seeds)) == ("vae.decoder", 1, 1):
        return  # one take is decoded in one call
    with (
        short_of_memory(turbo, name, call, for_good=True),
        pytest.raises(OutOfMemoryError),
    ):
        render(turbo, asked)
    assert alike(render(turbo, asked)[0], expected)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_every_way_to_say_it(turbo: Tiny, error: Exception) -> None:
    with (
        short_of_memory(turbo, "transformer", 1, for_good=False, error=error),
        pytest.raises(OutOfMemoryError),
    ):
        turbo.samples(request())


def test_another_error_stays_what_it_is(turbo: Tiny) -> None:
    error = RuntimeError("expected all tensors to be on the same device")
    with (
        short_of_memory(turbo, "transformer", 1, for_good=False, error=error),
        pytest.raises(RuntimeError) as caught,
    ):
        turbo.samples(request())
    assert caught.value is error


def test_the_failed_attempts_tensors_are_free_while_its_error_is_handled(turbo: Tiny) -> None:
    """Rendering tries again take by take in its except block: the memory must be free by then."""
    gc.collect()
    gc.disable()
    try:
        with short_of_memory(turbo, "transformer", 2, for_good=True) as short:
            try:
                turbo.samples(request(steps=4, seeds=(1, 2)))
            except OutOfMemoryError:
                alive = [ref() for ref in short.inputs if ref() is not None]
                assert not alive
            else:
                pytest.fail("the job did not run out of memory")
    finally:
        gc.enable()
    assert short.inputs
