"""One plan from its request to its codes, in one call. Blocks; the engine calls it in a thread."""

from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Protocol

import torch

from acestep_ray.planner.constraint import MetadataConstraint
from acestep_ray.planner.context import ANSWER_TOKENS, codes_prompt_ids
from acestep_ray.planner.prepared_request import PreparedRequest, prepare_request
from acestep_ray.planner.progress import FIELDS, Stage
from acestep_ray.planner.protocol import Metadata, Plan, PlanRequest
from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.song_outline import Outline, outline, read_metadata
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.phases import write_codes, write_metadata
from acestep_ray.settings import Lm, Lyrics
from acestep_ray.timebase import codes_of_seconds


class Progress(Protocol):
    """Receives how far a plan or text is, before each token; raises any exception to stop it."""

    def __call__(self, stage: Stage, step: int, total: int) -> None:
        """``step`` of ``total``: fields of the metadata, codes, or tokens of a text."""
        ...


class Planning:
    """Plans songs with one language model, one at a time, always from the same thread."""

    def __init__(
        self, lm: LanguageModel, settings: Lm, lyrics: Lyrics, default_duration: float
    ) -> None:
        self.lm = lm
        self._vocabulary = lm.vocabulary
        self._caption_tokens = settings.caption_tokens
        self._lyrics = lyrics
        self._default_duration = default_duration

    @property
    def model(self) -> str:
        """The checkpoint's name."""
        return self.lm.name

    @torch.inference_mode()
    def plan(self, request: PlanRequest, progress: Progress) -> Plan:
        """Plan one song. Raises PlannerError, and what ``progress`` raises."""
        started = perf_counter()
        progress("metadata", 0, FIELDS)
        prepared = prepare_request(request, self.lm.tokenizer, self.lm.context)
        settled = outline(
            request,
            prepared.given,
            self._metadata(request, prepared, progress),
            lyrics=self._lyrics,
            default_seconds=self._default_duration,
            longest=prepared.longest,
        )
        progress("metadata", FIELDS, FIELDS)
        written = self._codes(request, prepared, settled, progress)
        return Plan(
            metadata=settled.metadata,
            codes=written[0] if written else (),
            take_codes=request.by_take(written),
            seconds=settled.seconds,
            model=self.model,
            elapsed=perf_counter() - started,
        )

    def _metadata(
        self, request: PlanRequest, prepared: PreparedRequest, progress: Progress
    ) -> Metadata | None:
        if prepared.metadata_prompt is None:
            return None
        constraint = MetadataConstraint(
            self._vocabulary,
            prepared.given,
            int(prepared.longest),
            with_caption=request.use_cot_caption,
            caption_tokens=self._caption_tokens,
        )
        write_metadata(
            self.lm.rows([prepared.metadata_prompt], ANSWER_TOKENS),
            constraint,
            Sampling.of(request, Phase.METADATA),
            lambda fields: progress("metadata", fields, FIELDS),
        )
        return read_metadata(constraint.text, prepared.given)

    def _codes(
        self, request: PlanRequest, prepared: PreparedRequest, settled: Outline, progress: Progress
    ) -> list[tuple[int, ...]]:
        """The codes of ``request.code_seeds``: side by side, as far as there is memory."""
        if not prepared.with_codes:
            return []
        count = codes_of_seconds(settled.seconds)
        prompts = [
            codes_prompt_ids(self.lm.tokenizer, request.caption, request.lyrics, settled.cot)
        ]
        if prepared.unconditional_prompt is not None:
            prompts.append(prepared.unconditional_prompt)
        samplings = Sampling.of_codes(request)
        total = count * len(samplings)
        written: list[tuple[int, ...]] = []
        for some in self._batches(samplings, len(prompts), max(map(len, prompts)) + count):
            rows = self.lm.rows([prompt for prompt in prompts for _ in some], count)
            tick = partial(_report, progress, len(written) * count, len(some), total)
            written += map(tuple, write_codes(rows, count, some, tick))
        progress("codes", total, total)
        return written

    def _batches(
        self, samplings: Sequence[Sampling], rows_each: int, columns: int
    ) -> Iterator[Sequence[Sampling]]:
        """The samplings in as few batches as possible, which differ by one in size at most."""
        most = max(self.lm.most_rows(columns) // rows_each, 1)
        batches = -(-len(samplings) // most)
        for number in range(batches):
            begin, end = (len(samplings) * at // batches for at in (number, number + 1))
            yield samplings[begin:end]


def _report(progress: Progress, done: int, wide: int, total: int, step: int) -> None:
    """Report codes: ``done`` of earlier batches, and ``step`` of each of ``wide`` takes."""
    progress("codes", done + step * wide, total)
