"""One plan from its request to its codes, in one call. Blocks; the engine calls it in a thread."""

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
        self._lm = lm
        self._vocabulary = lm.vocabulary
        self._caption_tokens = settings.caption_tokens
        self._lyrics = lyrics
        self._default_duration = default_duration

    @property
    def model(self) -> str:
        """The checkpoint's name."""
        return self._lm.name

    @torch.inference_mode()
    def plan(self, request: PlanRequest, progress: Progress) -> Plan:
        """Plan one song. Raises PlannerError, and what ``progress`` raises."""
        started = perf_counter()
        progress("metadata", 0, FIELDS)
        prepared = prepare_request(request, self._lm.tokenizer, self._lm.context)
        settled = outline(
            request,
            prepared.given,
            self._metadata(request, prepared, progress),
            lyrics=self._lyrics,
            default_seconds=self._default_duration,
            longest=prepared.longest,
        )
        progress("metadata", FIELDS, FIELDS)
        return Plan(
            metadata=settled.metadata,
            codes=self._codes(request, prepared, settled, progress),
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
            self._lm.rows([prepared.metadata_prompt], ANSWER_TOKENS),
            constraint,
            Sampling.of(request, Phase.METADATA),
            lambda fields: progress("metadata", fields, FIELDS),
        )
        return read_metadata(constraint.text, prepared.given)

    def _codes(
        self, request: PlanRequest, prepared: PreparedRequest, settled: Outline, progress: Progress
    ) -> tuple[int, ...]:
        if not prepared.with_codes:
            return ()
        count = codes_of_seconds(settled.seconds)
        prompts = [
            codes_prompt_ids(self._lm.tokenizer, request.caption, request.lyrics, settled.cot)
        ]
        if prepared.unconditional_prompt is not None:
            prompts.append(prepared.unconditional_prompt)
        codes = write_codes(
            self._lm.rows(prompts, count),
            count,
            Sampling.of(request, Phase.CODES),
            lambda step: progress("codes", step, count),
        )
        progress("codes", count, count)
        return tuple(codes)
