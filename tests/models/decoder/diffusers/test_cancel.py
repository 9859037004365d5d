"""A cancelled job stops within one step and leaves nothing behind."""

import gc
import threading
import weakref
from typing import Any

import pytest
import torch

from acestep_ray.decoder.events import DecodeProgress
from acestep_ray.decoder.protocol import DecodeCancelled, RenderedTake, Sources
from acestep_ray.decoder.render import Rendering
from tests.models.decoder.diffusers.tiny import Tiny, alike, request


class Steps:
    """Counts the transformer's calls, and stores what it got as weak references."""

    def __init__(self, tiny: Tiny) -> None:
        self.count = 0
        self.latents: list[weakref.ref[torch.Tensor]] = []
        transformer = tiny.pipeline.transformer
        self.handle = transformer.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        self.count += 1
        self.latents.append(weakref.ref(kwargs["hidden_states"]))


@pytest.fixture
def steps(turbo: Tiny) -> Any:
    counted = Steps(turbo)
    yield counted
    counted.handle.remove()


@pytest.mark.parametrize("at", [0, 1, 3])
def test_within_one_step(turbo: Tiny, steps: Steps, at: int) -> None:
    asked = request(steps=5, seeds=(1, 2))
    before = turbo.samples(asked)
    steps.count = 0
    steps.latents.clear()

    def report(stage: str, step: int, total: int) -> None:
        if (stage, step) == ("diffusion", at):
            raise DecodeCancelled

    takes = turbo.engine.generate(asked, Sources(), report)
    with pytest.raises(DecodeCancelled) as caught:
        next(takes)
    assert steps.count == at
    # Code that keeps the error, as a future in an event loop does, does not keep the job's tensors.
    gc.disable()
    try:
        assert [ref() for ref in steps.latents] == [None] * at
    finally:
        gc.enable()
    assert caught.value is not None
    assert alike(turbo.samples(asked), before)


def test_between_the_tiles_of_a_long_piece(turbo: Tiny) -> None:
    reports = []

    def report(stage: str, step: int, total: int) -> None:
        reports.append((stage, step, total))
        if reports.count(("vae", 0, 1)) == 2:
            raise DecodeCancelled

    turbo.voice.received.clear()
    with pytest.raises(DecodeCancelled):
        list(turbo.engine.generate(request(seconds=40.0, steps=1), Sources(), report))
    assert len(turbo.voice.received) == 1, "the second tile was decoded after all"


def test_closing_the_takes_early(turbo: Tiny) -> None:
    asked = request(seeds=(1, 2))
    before = turbo.samples(asked)
    takes = turbo.engine.generate(asked, Sources(), lambda *_: None)
    first = next(takes)
    takes.close()  # type: ignore[attr-defined]
    assert alike([first.samples], before[:1])
    assert alike(turbo.samples(asked), before)


def test_stopped_from_another_thread(turbo: Tiny, steps: Steps) -> None:
    """As the decode worker does it."""
    seen: list[DecodeProgress | RenderedTake] = []
    second_step = threading.Event()
    stopped = threading.Event()

    def emit(event: DecodeProgress | RenderedTake) -> None:
        seen.append(event)
        if isinstance(event, DecodeProgress) and (event.stage, event.step) == ("diffusion", 2):
            second_step.set()
            assert stopped.wait(60)

    rendering = Rendering(turbo.engine, request(steps=9), Sources(), emit)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            rendering.run()
        except DecodeCancelled as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert second_step.wait(60)
    rendering.stop.set()
    stopped.set()
    thread.join(60)
    assert len(failures) == 1
    assert steps.count == 2
    assert not any(isinstance(event, RenderedTake) for event in seen)
