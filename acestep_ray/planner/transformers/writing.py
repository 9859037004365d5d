"""A song's text from its request to its lyrics, in one call. Blocks, as planning.py does."""

from collections.abc import Callable
from time import perf_counter

import torch

from acestep_ray.planner.constraint import GrammarConstraint
from acestep_ray.planner.context import ANSWER_TOKENS
from acestep_ray.planner.prepared_text import PreparedText, prepare_text
from acestep_ray.planner.protocol import Metadata, SongText, WriteRequest
from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.song_text import song_text
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.phases import write_by_grammar, write_lyrics
from acestep_ray.planner.transformers.planning import Progress
from acestep_ray.settings import Lm, Lyrics


class TextWriter:
    """Writes songs' texts with one language model, one at a time, always from the same thread."""

    def __init__(self, lm: LanguageModel, settings: Lm, lyrics: Lyrics) -> None:
        self._lm = lm
        # The model that was loaded may have less room than these settings have.
        self._settings = settings.model_copy(update={"context": lm.context})
        self._lyrics = lyrics

    @torch.inference_mode()
    def write(self, request: WriteRequest, progress: Progress) -> SongText:
        """Write one text. Raises PlannerError, and what ``progress`` raises."""
        started = perf_counter()
        prepared = prepare_text(request, self._lm.tokenizer, self._settings)
        total = prepared.most_tokens
        progress("writing", 0, total)
        ids = write_by_grammar(
            self._lm.rows([prepared.prompt], ANSWER_TOKENS),
            GrammarConstraint(self._lm.vocabulary, prepared.grammar),
            Sampling.of(request, Phase.METADATA),
            lambda step: progress("writing", step, total),
        )
        metadata = prepared.metadata(self._lm.tokenizer, ids)
        lyrics = self._write_lyrics(
            prepared, metadata, lambda step: progress("writing", len(ids) + step, total)
        )
        progress("writing", total, total)
        return song_text(
            request,
            metadata,
            lyrics,
            self._lyrics,
            longest=prepared.longest,
            model=self._lm.name,
            elapsed=perf_counter() - started,
        )

    def _write_lyrics(
        self, prepared: PreparedText, metadata: Metadata, tick: Callable[[int], None]
    ) -> str | None:
        """None if the LM is not asked for lyrics."""
        if not prepared.lyrics_tokens:
            return None
        prompt = prepared.lyrics_prompt(self._lm.tokenizer, metadata)
        most = prepared.most_lyrics(prompt)
        sampling = Sampling.of(prepared.request, Phase.LYRICS)
        ids = write_lyrics(self._lm.rows([prompt], most), most, sampling, tick)
        return prepared.lyrics(self._lm.tokenizer, ids, metadata)
