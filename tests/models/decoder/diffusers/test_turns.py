"""A decoder that is on its device only while it works makes the same music.

No GPU is needed to see where its modules are: each move is seen, and on the CPU it changes nothing.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from acestep_ray.decoder.checkpoints.load import load
from acestep_ray.decoder.diffusers import residents
from acestep_ray.decoder.protocol import Sources
from acestep_ray.decoder.turn_taking import TurnTakingDecoder
from acestep_ray.gpu_turn import GpuTurn
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, request
from tests.service import until

HOST = torch.device("cpu")
PRETENDED = torch.device("cpu", 0) if DEVICE.type == "cpu" else DEVICE
"""On a machine without a GPU the CPU, and yet another device than that without a number."""


class Places:
    """Where each module was moved last, by its class."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: dict[str, torch.device] = {}
        real = residents.move

        def move(module: nn.Module, device: torch.device) -> None:
            self.of[type(module).__name__] = device
            real(module, device)

        monkeypatch.setattr("acestep_ray.decoder.diffusers.engine.move", move)

    @property
    def all(self) -> set[torch.device]:
        return set(self.of.values())


def allocated() -> int:
    """Bytes on the GPU; 0 without one."""
    return torch.cuda.memory_allocated() if DEVICE.type == "cuda" else 0


@pytest.fixture
def turn() -> Iterator[GpuTurn]:
    turn = GpuTurn((), unload_seconds=0.1)
    yield turn
    turn.close()


@pytest.mark.parametrize("offload", [False, True])
def test_the_weights_leave_the_device_and_come_back(
    checkpoints: Path, turbo: Tiny, turn: GpuTurn, monkeypatch: pytest.MonkeyPatch, offload: bool
) -> None:
    places = Places(monkeypatch)
    loaded = load(checkpoints, "acestep-v15-turbo", str(HOST), torch.float32)
    tiny = Tiny.of(loaded, PRETENDED, offload=offload)
    decoder = TurnTakingDecoder.load(lambda: tiny.engine, turn)
    parts = loaded.pipeline.components.values()
    names = {type(part).__name__ for part in parts if isinstance(part, nn.Module)}
    seen: list[set[torch.device]] = []
    most = [0]

    def report(stage: str, step: int, total: int) -> None:
        seen.append(places.all)
        most[0] = max(most[0], allocated())

    for _ in range(2):
        until(lambda: places.all == {HOST} and not turn.there, "it stays on its device")
        if not offload:
            assert set(places.of) == names
        away = allocated()
        seen.clear()
        (take,) = decoder.generate(request(), Sources(), report)
        assert seen and all(where == {PRETENDED} for where in seen)
        if DEVICE.type == "cuda" and not offload:
            weights = sum(p.nbytes for p in loaded.pipeline.transformer.parameters())
            assert most[0] >= away + weights
        assert (take.samples == turbo.samples(request())[0]).all()
