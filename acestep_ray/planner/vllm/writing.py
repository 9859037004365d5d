"""A song's text from its request to its lyrics: metadata, then lyrics, each a request to vLLM."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from time import perf_counter

from acestep_ray.planner.context import ANSWER_TOKENS
from acestep_ray.planner.prepared_text import PreparedText, prepare_text
from acestep_ray.planner.progress import ProgressThrottle
from acestep_ray.planner.protocol import Metadata, PlanProgress, SongText, WriteRequest
from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.song_text import song_text
from acestep_ray.planner.tokens import LmTokenizer
from acestep_ray.planner.vllm.requests import Requests
from acestep_ray.planner.vllm.row_order import RowOrder
from acestep_ray.settings import Settings


@dataclass
class _Draft:
    """A text while it is written."""

    total: int
    pace: ProgressThrottle = field(default_factory=ProgressThrottle)
    metadata: list[int] = field(default_factory=list)
    lyrics: list[int] = field(default_factory=list)

    def events(self) -> list[PlanProgress]:
        """The progress to report now."""
        written = len(self.metadata) + len(self.lyrics)
        return self.pace.events("writing", min(written, self.total), self.total)


class TextWriter:
    """Writes songs' texts with one language model, any number at once."""

    def __init__(
        self, requests: Requests, tokenizer: LmTokenizer, model: str, settings: Settings
    ) -> None:
        self._requests = requests
        self._tokenizer = tokenizer
        self._model = model
        self._lm = settings.lm
        self._lyrics = settings.lyrics

    async def write(self, request: WriteRequest) -> AsyncGenerator[PlanProgress | SongText, None]:
        """Write one text. The first event is sent with the first token, as for a plan.

        Raises PlannerError and EngineDied.
        """
        started = perf_counter()
        # Tokenising long texts takes milliseconds, in which the tokens of all plans would wait.
        prepared = await asyncio.to_thread(prepare_text, request, self._tokenizer, self._lm)
        draft = _Draft(prepared.most_tokens)
        draft.pace.hold("writing", 0, draft.total)
        async with aclosing(self._write_metadata(prepared, draft)) as events:
            async for event in events:
                yield event
        metadata = prepared.metadata(self._tokenizer, draft.metadata)
        lyrics = None
        if prepared.lyrics_tokens:
            async with aclosing(self._write_lyrics(prepared, metadata, draft)) as events:
                async for event in events:
                    yield event
            lyrics = await asyncio.to_thread(
                prepared.lyrics, self._tokenizer, draft.lyrics, metadata
            )
        for event in draft.pace.events("writing", draft.total, draft.total):
            yield event
        yield song_text(
            request,
            metadata,
            lyrics,
            self._lyrics,
            longest=prepared.longest,
            model=self._model,
            elapsed=perf_counter() - started,
        )

    async def _write_metadata(
        self, prepared: PreparedText, draft: _Draft
    ) -> AsyncGenerator[PlanProgress, None]:
        sampling = Sampling.of(prepared.request, Phase.METADATA)
        order = RowOrder(Phase.METADATA, sampling, ANSWER_TOKENS)
        parts = self._requests.write(prepared.prompt, order, prepared.grammar)
        async with aclosing(parts):
            async for part in parts:
                draft.metadata += part
                for event in draft.events():
                    yield event

    async def _write_lyrics(
        self, prepared: PreparedText, metadata: Metadata, draft: _Draft
    ) -> AsyncGenerator[PlanProgress, None]:
        prompt = await asyncio.to_thread(prepared.lyrics_prompt, self._tokenizer, metadata)
        sampling = Sampling.of(prepared.request, Phase.LYRICS)
        order = RowOrder(Phase.LYRICS, sampling, prepared.most_lyrics(prompt))
        async with aclosing(self._requests.write(prompt, order)) as parts:
            async for part in parts:
                draft.lyrics += part
                for event in draft.events():
                    yield event
