"""One plan from its request to its codes: metadata, then codes, each a request to vLLM."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import perf_counter

from acestep_ray.planner.context import ANSWER_TOKENS, codes_prompt_ids
from acestep_ray.planner.grammar import Given, body_grammar
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.prepared_request import PreparedRequest, prepare_request
from acestep_ray.planner.progress import FIELDS, ProgressThrottle, fields_written
from acestep_ray.planner.protocol import Plan, PlanProgress, PlanRequest
from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.song_outline import Outline, outline, read_metadata
from acestep_ray.planner.tokens import FIRST_CODE, IM_END, LmTokenizer
from acestep_ray.planner.vllm.requests import Requests
from acestep_ray.planner.vllm.row_order import RowOrder
from acestep_ray.planner.vllm.side_by_side import side_by_side
from acestep_ray.settings import Settings
from acestep_ray.timebase import codes_of_seconds

ALL_GIVEN = Given(bpm=120, duration=10, keyscale="C major", language="en", timesignature="4")


class Planning:
    """Plans songs with one language model, any number at once."""

    def __init__(
        self, requests: Requests, tokenizer: LmTokenizer, model: str, settings: Settings
    ) -> None:
        self.model = model
        self._requests = requests
        self._tokenizer = tokenizer
        self._lm = settings.lm
        self._lyrics = settings.lyrics
        self._default_seconds = settings.defaults.duration

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """Plan one song. The first event is sent with the first token: vLLM may delay the request.

        Raises PlannerError and EngineDied.
        """
        started = perf_counter()
        # Tokenising long texts takes milliseconds, in which the tokens of all plans would wait.
        prepared = await asyncio.to_thread(
            prepare_request, request, self._tokenizer, self._lm.context
        )
        pace = ProgressThrottle()
        pace.hold("metadata", 0, FIELDS)
        text: list[int] = []
        async with aclosing(self._write_metadata(request, prepared, pace, text)) as events:
            async for event in events:
                yield event
        settled = outline(
            request,
            prepared.given,
            read_metadata(self._read(text), prepared.given) if text else None,
            lyrics=self._lyrics,
            default_seconds=self._default_seconds,
            longest=prepared.longest,
        )
        pace.hold("metadata", FIELDS, FIELDS)
        codes: list[list[int]] = []
        async with aclosing(self._write_codes(request, prepared, settled, pace, codes)) as events:
            async for event in events:
                yield event
        written = [tuple(token - FIRST_CODE for token in one) for one in codes]
        for event in pace.rest():
            yield event
        yield Plan(
            metadata=settled.metadata,
            codes=written[0] if written else (),
            take_codes=request.by_take(written),
            seconds=settled.seconds,
            model=self.model,
            elapsed=perf_counter() - started,
        )

    async def warm_up(self) -> None:
        """Write a few tokens of each phase, so that no job waits for what is made at first use."""
        prompt = self._tokenizer.encode("la")
        greedy = Sampling(temperature=0.0)
        metadata = RowOrder(Phase.METADATA, greedy, count=ANSWER_TOKENS)
        guided = RowOrder(Phase.CODES, Sampling(cfg_scale=2.0), count=2, uncond=tuple(prompt))
        lyrics = RowOrder(Phase.LYRICS, Sampling(), count=2)
        grammar = body_grammar(ALL_GIVEN, DURATION_RANGE[1], caption_tokens=8)
        for order, rules in ((metadata, grammar), (guided, None), (lyrics, None)):
            async for _ in self._requests.write(prompt, order, rules):
                pass

    async def _write_metadata(
        self,
        request: PlanRequest,
        prepared: PreparedRequest,
        pace: ProgressThrottle,
        text: list[int],
    ) -> AsyncGenerator[PlanProgress, None]:
        """Fill ``text`` with token ids, unless the user gave all metadata."""
        if prepared.metadata_prompt is None:
            return
        order = RowOrder(Phase.METADATA, Sampling.of(request, Phase.METADATA), ANSWER_TOKENS)
        grammar = body_grammar(
            prepared.given,
            int(prepared.longest),
            self._lm.caption_tokens,
            with_caption=request.use_cot_caption,
        )
        parts = self._requests.write(prepared.metadata_prompt, order, grammar)
        async with aclosing(parts):
            async for part in parts:
                text += part
                if pace.due:
                    for event in pace.events("metadata", fields_written(self._read(text)), FIELDS):
                        yield event

    async def _write_codes(
        self,
        request: PlanRequest,
        prepared: PreparedRequest,
        settled: Outline,
        pace: ProgressThrottle,
        codes: list[list[int]],
    ) -> AsyncGenerator[PlanProgress, None]:
        """Fill ``codes`` with a list of token ids for each of ``request.code_seeds``, unless the
        request needs none. They are written side by side, each by a request of its own."""
        if not prepared.with_codes:
            return
        prompt = await asyncio.to_thread(
            codes_prompt_ids, self._tokenizer, request.caption, request.lyrics, settled.cot
        )
        count = codes_of_seconds(settled.seconds)
        uncond = tuple(prepared.unconditional_prompt or ())
        streams = [
            self._requests.write(prompt, RowOrder(Phase.CODES, sampling, count, uncond))
            for sampling in Sampling.of_codes(request)
        ]
        codes += [[] for _ in streams]
        total = count * len(streams)
        pace.hold("codes", 0, total)
        async with aclosing(side_by_side(streams)) as parts:
            async for number, part in parts:
                codes[number] += part
                for event in pace.events("codes", sum(map(len, codes)), total):
                    yield event

    def _read(self, text: Sequence[int]) -> str:
        """The text of metadata. If its caption ends inside a character, without that character."""
        ids = text[:-1] if text and text[-1] == IM_END else text
        return self._tokenizer.decode(ids).replace("\N{REPLACEMENT CHARACTER}", "")
