"""One job on the device: runs the engine in a thread and passes on what it makes."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from acestep_ray.decoder.events import DecodeProgress
from acestep_ray.decoder.protocol import (
    DecodeCancelled,
    DecoderEngine,
    DecodeRequest,
    OutOfMemoryError,
    RenderedTake,
    Sources,
)
from acestep_ray.planner.duration import is_sung

NO_LYRICS = "The song has no lyrics, so lrc and scores are not made."
Emit = Callable[[DecodeProgress | RenderedTake], None]


class Rendering:
    """Blocking; ``stop`` may be set from any thread and takes effect between two steps."""

    def __init__(
        self, engine: DecoderEngine, request: DecodeRequest, sources: Sources, emit: Emit
    ) -> None:
        self._engine = engine
        self._request = request
        self._sources = sources
        self._emit = emit
        self._mark = time.perf_counter()
        self._stage = ""
        self.stop = threading.Event()
        self.seconds: dict[str, float] = defaultdict(float)
        self.warnings: list[str] = []

    def run(self) -> None:
        """Make every take. Raises what the engine raises, and DecodeCancelled once stopped."""
        now = time.perf_counter()
        self.seconds["waiting"] = now - self._mark  # for the device
        self._mark = now
        if self.stop.is_set():
            raise DecodeCancelled
        if (self._request.lrc or self._request.scores) and not is_sung(self._request.lyrics):
            self.warnings.append(NO_LYRICS)
        done: set[int] = set()
        try:
            self._generate(self._request, list(range(len(self._request.seeds))), done)
        except (OutOfMemoryError, MemoryError):
            missing = [i for i in range(len(self._request.seeds)) if i not in done]
            self._engine.free_memory()
            if len(self._request.seeds) == 1:
                raise
            self.warnings.append("Memory ran short: the takes were made one after another.")
            for index in missing:
                self._generate(self._only(index), [index], done)
                self._engine.free_memory()
        finally:
            self._sources = Sources()  # ten minutes have 230 MB, and the takes are not stored yet
            self._clock("")

    def _only(self, index: int) -> DecodeRequest:
        """The request for one of its takes."""
        codes, retakes = self._request.codes, self._request.retake_seeds
        return self._request.model_copy(
            update={
                "seeds": (self._request.seeds[index],),
                "codes": (codes[index],) if len(codes) > 1 else codes,
                "retake_seeds": retakes[index : index + 1],
            }
        )

    def _generate(self, request: DecodeRequest, indices: list[int], done: set[int]) -> None:
        for take in self._engine.generate(request, self._sources, self._report):
            index = indices[take.index]
            self._emit(replace(take, index=index, warnings=()))
            self.warnings += [w for w in take.warnings if w not in self.warnings]
            done.add(index)
            if self.stop.is_set():
                raise DecodeCancelled

    def _report(self, stage: str, step: int, total: int) -> None:
        self._clock(stage)
        self._emit(DecodeProgress(stage=stage, step=step, total=total))
        if self.stop.is_set():
            raise DecodeCancelled

    def _clock(self, stage: str) -> None:
        """Add the time since the last report to the stage of that report."""
        now = time.perf_counter()
        self.seconds[self._stage or stage] += now - self._mark
        self._mark, self._stage = now, stage
