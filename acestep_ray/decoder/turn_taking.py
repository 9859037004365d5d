"""A decoder that is on its GPU only while it works."""

from collections.abc import Callable, Iterator
from typing import Protocol, Self

from acestep_ray.decoder.protocol import (
    DecoderDescription,
    DecoderEngine,
    DecodeRequest,
    DeviceMemory,
    RenderedTake,
    Report,
    Sources,
)
from acestep_ray.gpu_turn import GpuTurn, Movable


class MovableDecoder(DecoderEngine, Movable, Protocol):
    """A decoder whose weights can leave its device."""


class TurnTakingDecoder:
    """A DecoderEngine around another one."""

    def __init__(self, engine: MovableDecoder, turn: GpuTurn) -> None:
        self._engine = engine
        self._turn = turn

    @classmethod
    def load(cls, load: Callable[[], MovableDecoder], turn: GpuTurn) -> Self:
        """Load the engine in its first turn. Raises what ``load`` does."""
        with turn.first():
            engine = load()
        turn.keep(engine)
        return cls(engine, turn)

    def describe(self) -> DecoderDescription:
        """See DecoderEngine."""
        return self._engine.describe()

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """See DecoderEngine. Reports "waiting" while another engine has the GPU."""
        with self._turn.held(lambda: report("waiting", 0, 1)):
            yield from self._engine.generate(request, sources, report)

    def free_memory(self) -> None:
        """See DecoderEngine."""
        with self._turn.undisturbed():
            self._engine.free_memory()

    def loaded_adapters(self) -> frozenset[str]:
        """See DecoderEngine."""
        return self._engine.loaded_adapters()

    def memory(self) -> DeviceMemory | None:
        """See DecoderEngine."""
        return self._engine.memory()
