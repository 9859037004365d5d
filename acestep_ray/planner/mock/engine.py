"""A planner without a model: metadata that follows the words, codes from a seed, and songs' texts.

Its plan is a pure function of caption, lyrics and seeds (at temperature 0: of caption and lyrics).
So it can be made again on any machine. Each part has its own stream of random numbers: if one field
is forced, the other fields and the codes do not change. A longer song begins with the codes of the
shorter one.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter

import numpy as np

from acestep_ray.planner.codes import MAX_CODE
from acestep_ray.planner.duration import choose_duration, estimate_seconds, is_sung
from acestep_ray.planner.grammar import Given
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.mock.captions import arranged_caption
from acestep_ray.planner.mock.language import detect_language
from acestep_ray.planner.mock.names import PUBLISHED
from acestep_ray.planner.mock.pace import write_slowly
from acestep_ray.planner.mock.streams import random_stream
from acestep_ray.planner.mock.words import bpm_of, keyscale_of, time_signature_of
from acestep_ray.planner.mock.writing import write_text
from acestep_ray.planner.protocol import (
    GREEDY,
    Metadata,
    Plan,
    PlannerDescription,
    PlannerError,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.planner.song_outline import needs_metadata
from acestep_ray.planner.song_text import song_text, text_given
from acestep_ray.settings import Lyrics, Mock
from acestep_ray.timebase import codes_of_seconds


class MockPlanner:
    """Implements PlannerEngine. Holds no state: any number of plans may run at once."""

    def __init__(
        self,
        mock: Mock,
        lyrics: Lyrics,
        default_duration: float,
        models: tuple[str, ...] = PUBLISHED,
    ) -> None:
        self._token_seconds = mock.token_seconds
        self._lyrics = lyrics
        self._default_duration = default_duration
        self._models = models

    def describe(self) -> PlannerDescription:
        """Its models have the published names; the first is used if a request names none."""
        return PlannerDescription(engine="mock", models=self._models, mock=True)

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan. Takes ``token_seconds`` per code, also if it is read slowly."""
        started = perf_counter()
        model = self._model(request.model)
        try:
            given = Given.of(request)
        except ValueError as error:
            raise PlannerError(f"The plan cannot be made: {error}.") from None

        yield PlanProgress(stage="metadata", step=0, total=1)
        seconds = self._seconds(request)
        metadata = _metadata(request, given, seconds)
        yield PlanProgress(stage="metadata", step=1, total=1)

        written: list[tuple[int, ...]] = []
        if request.infer_type == "llm_dit":
            count = codes_of_seconds(seconds)
            written = [_codes(request, seed, count) for seed in request.code_seeds]
            # Side by side, as vllm: all take as long as one.
            together = count * len(written)
            pace = self._token_seconds / len(written)
            async with aclosing(write_slowly("codes", together, pace)) as steps:
                async for step in steps:
                    yield step

        yield Plan(
            metadata=metadata,
            codes=written[0] if written else (),
            take_codes=request.by_take(written),
            seconds=seconds,
            model=model,
            elapsed=perf_counter() - started,
            mock=True,
        )

    async def write(self, request: WriteRequest) -> AsyncGenerator[PlanProgress | SongText, None]:
        """See PlannerEngine.write. Takes ``token_seconds`` per token, also if it is read slowly."""
        started = perf_counter()
        request = request.checked()
        model = self._model(request.model)
        longest = min(request.max_duration, DURATION_RANGE[1])
        text = write_text(
            request,
            text_given(request),
            self._lyrics,
            default=self._default_duration,
            longest=longest,
        )
        async with aclosing(write_slowly("writing", text.tokens, self._token_seconds)) as steps:
            async for step in steps:
                yield step
        yield song_text(
            request,
            text.metadata,
            text.lyrics,
            self._lyrics,
            longest=longest,
            model=model,
            elapsed=perf_counter() - started,
            mock=True,
        )

    async def check(self) -> None:
        """See PlannerEngine.check. This engine lives as long as its process."""

    async def close(self) -> None:
        """See PlannerEngine.close. It holds nothing."""

    def _model(self, asked: str) -> str:
        model = asked or self._models[0]
        if model not in self._models:
            there = ", ".join(self._models)
            raise PlannerError(f"The LM {model!r} is not deployed; there are: {there}.")
        return model

    def _seconds(self, request: PlanRequest) -> float:
        """Length of the song: the user's, else the estimate from the lyrics, else the default."""
        longest = min(request.max_duration, DURATION_RANGE[1])
        bounds = (DURATION_RANGE[0], longest)
        sung = is_sung(request.lyrics)
        preferred = (
            estimate_seconds(request.lyrics, self._lyrics) if sung else self._default_duration
        )
        return choose_duration(
            request.duration,
            int(min(max(preferred, bounds[0]), bounds[1])),  # what an LM would write
            request.lyrics,
            self._lyrics,
            self._default_duration,
            estimate=request.infer_type == "llm_dit",
            bounds=bounds,
        )


def _metadata(request: PlanRequest, given: Given, seconds: float) -> Metadata:
    bpm = given.bpm or bpm_of(request.caption, _stream(request, "bpm"))
    keyscale = given.keyscale or keyscale_of(request.caption, _stream(request, "keyscale"))
    timesignature = given.timesignature or time_signature_of(request.caption)
    language = given.language or detect_language(request.lyrics) or request.vocal_language
    caption = None
    if request.use_cot_caption and needs_metadata(given):
        caption = arranged_caption(
            request.caption,
            _stream(request, "caption"),
            sung=is_sung(request.lyrics),
            bpm=bpm,
            keyscale=keyscale,
            timesignature=timesignature,
        )
    return Metadata(
        bpm=bpm,
        caption=caption,
        duration=int(seconds),
        keyscale=keyscale,
        language=language,
        timesignature=timesignature,
    )


def _codes(request: PlanRequest, seed: int, count: int) -> tuple[int, ...]:
    # Raw words: NumPy never changes the stream of a bit generator, but may change integers().
    words = _stream(request, "codes", seed).bit_generator.random_raw(count)
    return tuple((words % (MAX_CODE + 1)).tolist())


def _stream(request: PlanRequest, part: str, seed: int | None = None) -> np.random.Generator:
    """The random numbers of one part of a plan; ``seed``: that of the request if None."""
    if request.temperature < GREEDY:
        seed = None
    elif seed is None:
        seed = request.seed
    return random_stream([part, request.caption, request.lyrics, seed])
