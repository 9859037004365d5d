"""The mock decoder engine."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from acestep_ray.audio.level import normalise_peak
from acestep_ray.audio.resample import resample, to_stereo
from acestep_ray.decoder.mock.loudness import contour, follow
from acestep_ray.decoder.mock.lrc import sung_times
from acestep_ray.decoder.mock.reference import brightness, tilted
from acestep_ray.decoder.mock.render import render
from acestep_ray.decoder.mock.repaint import match_level
from acestep_ray.decoder.mock.song import compose
from acestep_ray.decoder.protocol import (
    COVER_TASKS,
    DecoderDescription,
    DecodeRequest,
    DecoderError,
    DeviceMemory,
    RenderedTake,
    Report,
    Sources,
    Task,
)
from acestep_ray.decoder.repaint_style import RepaintStyle
from acestep_ray.decoder.window import Window
from acestep_ray.settings import Mock
from acestep_ray.timebase import (
    FRAMES_PER_CODE,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    Samples,
    frames_of_seconds,
)

TASKS: tuple[Task, ...] = ("text2music", "repaint", "cover", "cover-nofsq")


class MockDecoder:
    """A synthesiser that presents itself as a turbo model, or, if its name says base or sft, as one
    of those.

    It uses caption, lyrics, bpm, key, time signature, seed, length, codes, source and reference;
    steps only take time (``mock.step_seconds`` each); guidance, shift, samplers, corrections and
    retakes change nothing. Of ``repaint_mode`` only the crossfade at the edges is heard. The same
    request and seed give the same samples, bit for bit.
    """

    def __init__(self, mock: Mock, model: str = "mock") -> None:
        self._mock = mock
        self._model = model
        self._adapters: frozenset[str] = frozenset()

    def describe(self) -> DecoderDescription:
        """What this engine serves."""
        return DecoderDescription(
            engine="mock",
            model=self._model,
            tasks=TASKS,
            turbo=not {"base", "sft"} & set(self._model.lower().split("-")),
            mock=True,
            device="cpu",
            lrc=True,
            adapters=True,
        )

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """Yield the takes of one job in order, at 48 kHz and at their final level.

        Reports "diffusion" between steps, then "vae" before the first take, about every ten
        seconds of music, and after each take. Raises DecoderError.
        """
        if request.model not in ("", self._model):
            raise DecoderError(f"This is {self._model}, not {request.model}.")
        job = _Job.of(request, sources)
        self._adapters = frozenset(use.name for use in request.adapters)
        report("diffusion", 0, request.steps)
        for step in range(1, request.steps + 1):
            time.sleep(self._mock.step_seconds)
            report("diffusion", step, request.steps)
        takes = len(request.seeds)
        report("vae", 0, takes)
        for index, seed in enumerate(request.seeds):
            samples = job.take(index, partial(report, "vae", index, takes))
            report("vae", index + 1, takes)
            lrc = job.lrc(index, len(samples)) if request.lrc else None
            yield RenderedTake(index, seed, samples, lrc=lrc)
            del samples  # or it would stay in memory during the next one

    def free_memory(self) -> None:
        """Nothing is cached on a device."""

    def loaded_adapters(self) -> frozenset[str]:
        """Those of the last job, as if it kept one set of weights."""
        return self._adapters

    def memory(self) -> DeviceMemory | None:
        """No device, so no numbers."""
        return None


@dataclass(frozen=True)
class _Job:
    """A request with its prepared audio, shared by its takes."""

    request: DecodeRequest
    source: Samples | None
    """At 48 kHz, [samples, 2] in [-1, 1]; None if the task uses none."""
    tilt: float

    @classmethod
    def of(cls, request: DecodeRequest, sources: Sources) -> "_Job":
        if request.task not in TASKS:
            raise DecoderError(f"This model does not do {request.task}.")
        source = None
        follows = (request.task in COVER_TASKS and not request.codes) or request.edits_flow
        if request.task == "repaint" or follows:
            if sources.source is None:
                raise DecoderError(f"The task {request.task} needs source audio.")
            source = resample(sources.source[:, :2], sources.source_rate, SAMPLE_RATE)
            source = np.clip(to_stereo(source), -1.0, 1.0)
            if len(source) < SAMPLES_PER_FRAME:
                raise DecoderError("The source audio is shorter than one frame (40 ms).")
        tilt = brightness(sources.reference, sources.reference_rate)
        return cls(request, source, tilted(tilt, request.adapters))

    def take(self, index: int, tick: Callable[[], None]) -> Samples:
        """One take, [samples, 2]."""
        codes = self._codes(index)
        seed = self.request.seeds[index]
        if self.source is not None and self.request.task == "repaint":
            return self._repainted(self.source, seed, codes, tick)
        if self.source is not None:
            frames = len(self.source) // SAMPLES_PER_FRAME
        elif codes:
            frames = len(codes) * FRAMES_PER_CODE
        else:
            frames = frames_of_seconds(self.request.seconds)
        samples = frames * SAMPLES_PER_FRAME
        song = compose(self.request, seed, codes, samples, self.tilt)
        music = render(song, 0, samples, tick)
        if self.source is None:
            _fade_out(music)
        else:
            follow(music, contour(self.source[:samples]), self.request.cover_strength)
        normalise_peak(music)
        return music

    def lrc(self, index: int, samples: int) -> str | None:
        """When the lines of a take of so many samples begin; None: nothing is sung."""
        seed = self.request.seeds[index]
        song = compose(self.request, seed, self._codes(index), samples, self.tilt)
        return sung_times(song, self.request.lyrics, self.request.vocal_language, samples) or None

    def _codes(self, index: int) -> tuple[int, ...]:
        codes = self.request.codes
        if not codes:
            return ()
        return codes[0] if len(codes) == 1 else codes[index]

    def _repainted(
        self, source: Samples, seed: int, codes: tuple[int, ...], tick: Callable[[], None]
    ) -> Samples:
        """At the source's own level, so that everything outside the window stays as it was."""
        request = self.request
        window = Window.of(request.repaint_start, request.repaint_end, len(source))
        song = compose(request, seed, codes, window.samples, self.tilt)
        music = render(song, window.begin, window.music_end, tick)
        match_level(music, source, window)
        return window.splice(source, music, RepaintStyle.of(request).fade)


def _fade_out(music: Samples) -> None:
    """Fade the end out: over a twentieth of the piece, at most 1.5 s."""
    samples = min(len(music) // 20, 3 * SAMPLE_RATE // 2)
    ramp = np.linspace(1, 0, samples, dtype=np.float32)
    music[len(music) - samples :] *= (ramp * ramp)[:, np.newaxis]
