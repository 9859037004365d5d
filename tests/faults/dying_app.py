"""The application with a decoder that some jobs kill before it has begun them."""

import os
import signal
import time
from collections.abc import Iterator

from ray.serve import Application

import deployments.app
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.protocol import (
    DecoderDescription,
    DecoderEngine,
    DecodeRequest,
    DeviceMemory,
    RenderedTake,
    Report,
    Sources,
)
from acestep_ray.replicas.decoders import DecoderSpec
from acestep_ray.settings import Settings
from deployments.decoder import Decoder

DEADLY = "its worker does not survive it"


class DyingEngine:
    """An engine whose process is killed by a job with the caption DEADLY, as if memory ran out:
    before its first report, and after a second."""

    def __init__(self, engine: DecoderEngine) -> None:
        self._engine = engine

    def describe(self) -> DecoderDescription:
        """See DecoderEngine."""
        return self._engine.describe()

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """See DecoderEngine."""
        if request.caption == DEADLY:
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        return self._engine.generate(request, sources, report)

    def free_memory(self) -> None:
        """See DecoderEngine."""
        self._engine.free_memory()

    def loaded_adapters(self) -> frozenset[str]:
        return frozenset()

    def memory(self) -> DeviceMemory | None:
        """See DecoderEngine."""
        return self._engine.memory()


class DyingDecoder(Decoder):
    """The deployment with that engine."""

    def _serve(self, spec: DecoderSpec, engine: DecoderEngine, artifacts: Artifacts) -> None:
        super()._serve(spec, DyingEngine(engine), artifacts)


def build(args: Settings) -> Application:
    """Like deployments.app:build."""
    deployments.app.Decoder = DyingDecoder  # type: ignore[attr-defined]
    return deployments.app.build(args)
