"""A planner without a model: metadata that follows the words, and codes from a seed.

Its plan is a pure function of caption, lyrics and seed (at temperature 0: of caption and lyrics).
So it can be made again on any machine. Each part has its own stream of random numbers: if one field
is forced, the other fields and the codes do not change. A longer song begins with the codes of the
shorter one.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator
from itertools import accumulate
from time import perf_counter

import numpy as np

from acestep_ray.planner.codes import MAX_CODE
from acestep_ray.planner.duration import choose_duration, estimate_seconds, is_sung
from acestep_ray.planner.grammar import CAPTION_CHARS, Given
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.mock.language import detect_language
from acestep_ray.planner.mock.names import PUBLISHED
from acestep_ray.planner.mock.words import bpm_of, keyscale_of, pick, time_signature_of
from acestep_ray.planner.protocol import (
    Metadata,
    Plan,
    PlannerDescription,
    PlannerError,
    PlanProgress,
    PlanRequest,
)
from acestep_ray.planner.song_outline import needs_metadata
from acestep_ray.settings import Lyrics, Mock
from acestep_ray.timebase import codes_of_seconds

_PROGRESS_SECONDS = 0.25
_INSTRUMENTS = (
    "warm electric piano and round bass",
    "clean guitars and tight drums",
    "layered synthesisers and a deep sub bass",
    "strings, soft brass and piano",
    "plucked strings and hand percussion",
    "organ, bass guitar and brushed drums",
)
_ROOMS = ("a close, dry mix", "a wide, airy mix", "long reverb tails", "light tape saturation")
# Characters that the grammar of a caption does not allow, or that YAML writes in double quotes.
_NOT_IN_CAPTION = re.compile(
    r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[`<]"
)


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
        model = request.model or self._models[0]
        if model not in self._models:
            there = ", ".join(self._models)
            raise PlannerError(f"The LM {model!r} is not deployed; there are: {there}.")
        try:
            given = Given.of(request)
        except ValueError as error:
            raise PlannerError(f"The plan cannot be made: {error}.") from None

        yield PlanProgress(stage="metadata", step=0, total=1)
        seconds = self._seconds(request)
        metadata = _metadata(request, given, seconds)
        yield PlanProgress(stage="metadata", step=1, total=1)

        codes: tuple[int, ...] = ()
        if request.infer_type == "llm_dit":
            total = codes_of_seconds(seconds)
            yield PlanProgress(stage="codes", step=0, total=total)
            codes = _codes(request, total)
            begun = perf_counter()
            end = begun + total * self._token_seconds
            while (left := end - perf_counter()) > 0:
                await asyncio.sleep(min(left, _PROGRESS_SECONDS))
                step = int((perf_counter() - begun) / self._token_seconds)
                if step < total:
                    yield PlanProgress(stage="codes", step=step, total=total)
            yield PlanProgress(stage="codes", step=total, total=total)

        yield Plan(
            metadata=metadata,
            codes=codes,
            seconds=seconds,
            model=model,
            elapsed=perf_counter() - started,
            mock=True,
        )

    async def check(self) -> None:
        """See PlannerEngine.check. This engine lives as long as its process."""

    async def close(self) -> None:
        """See PlannerEngine.close. It holds nothing."""

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
        caption = _caption(request, bpm, keyscale, timesignature)
    return Metadata(
        bpm=bpm,
        caption=caption,
        duration=int(seconds),
        keyscale=keyscale,
        language=language,
        timesignature=timesignature,
    )


def _caption(request: PlanRequest, bpm: int, keyscale: str, timesignature: str) -> str:
    """The user's caption, cut if it is long, with an arrangement added."""
    rng = _stream(request, "caption")
    voice = "a clear lead voice" if is_sung(request.lyrics) else "no vocals"
    added = (
        f"{pick(_INSTRUMENTS, rng)}, {voice}, {pick(_ROOMS, rng)}, "
        f"{keyscale} at {bpm} beats a minute, {timesignature} beats a bar"
    )
    text = " ".join(_NOT_IN_CAPTION.sub(" ", request.caption).split()).rstrip(" .,;")
    if not text:
        return added
    room = CAPTION_CHARS - len(f"'; {added}'")
    # YAML may have to quote the caption; then it doubles each quote in it.
    used = accumulate(2 if char == "'" else 1 for char in text)
    fits = sum(length <= room for length in used)
    if fits < len(text):
        text = text[:fits].rpartition(" ")[0] or text[:fits]
    return f"{text}; {added}"


def _codes(request: PlanRequest, count: int) -> tuple[int, ...]:
    # Raw words: NumPy never changes the stream of a bit generator, but may change integers().
    words = _stream(request, "codes").bit_generator.random_raw(count)
    return tuple((words % (MAX_CODE + 1)).tolist())


def _stream(request: PlanRequest, part: str) -> np.random.Generator:
    """The random numbers of one part of a plan."""
    seed = None if request.temperature == 0 else request.seed
    key = json.dumps([part, request.caption, request.lyrics, seed]).encode()
    digest = hashlib.blake2b(key, digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
