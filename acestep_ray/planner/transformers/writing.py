"""The LM's other uses: a song from a short description ("inspire"), and a better form of a user's
text ("format").

Both write metadata by the grammar, then lyrics, without audio codes and without guidance.
"""

import re
from dataclasses import dataclass, replace

import torch

from acestep_ray.planner.constraint import MetadataConstraint
from acestep_ray.planner.context import ANSWER_TOKENS, CAPTION_TOKENS
from acestep_ray.planner.grammar import END_THINK, Given
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.prompts import (
    INSTRUMENTAL,
    LYRICS_HEADING,
    format_prompt,
    inspire_prompt,
)
from acestep_ray.planner.protocol import Metadata, PlannerError
from acestep_ray.planner.sampling import Sampling
from acestep_ray.planner.song_outline import read_metadata
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.phases import write_lyrics, write_metadata

LYRICS_TOKENS = 2048
"""Longest lyrics that are written, in tokens."""
NOTHING = Given()
_HEADING = re.compile(r"\s*#\s*Lyrics?\s*\n", re.IGNORECASE)


@dataclass(frozen=True)
class Song:
    """The texts of a song; ``caption`` is in the metadata too."""

    caption: str
    lyrics: str
    metadata: Metadata


def inspire(
    lm: LanguageModel,
    query: str,
    sampling: Sampling,
    *,
    instrumental: bool = False,
    given: Given = NOTHING,
    caption_tokens: int = CAPTION_TOKENS,
    lyrics_tokens: int = LYRICS_TOKENS,
) -> Song:
    """Caption, metadata and lyrics from a short description (``query``). The fields in ``given``
    are returned unchanged.

    Raises PlannerError if the description is too long.
    """
    song = _write(
        lm,
        inspire_prompt(query, instrumental=instrumental),
        sampling,
        given=given,
        caption_tokens=caption_tokens,
        lyrics_tokens=lyrics_tokens,
    )
    if instrumental and not song.lyrics:
        return replace(song, lyrics=INSTRUMENTAL)
    return song


def format_song(
    lm: LanguageModel,
    caption: str,
    lyrics: str,
    sampling: Sampling,
    *,
    given: Given = NOTHING,
    caption_tokens: int = CAPTION_TOKENS,
    lyrics_tokens: int = LYRICS_TOKENS,
) -> Song:
    """A user's caption and lyrics in the form that suits the models. The fields in ``given`` are
    returned unchanged.

    Raises PlannerError if caption and lyrics are too long.
    """
    return _write(
        lm,
        format_prompt(caption, lyrics),
        sampling,
        given=given,
        caption_tokens=caption_tokens,
        lyrics_tokens=lyrics_tokens,
    )


@torch.inference_mode()
def _write(
    lm: LanguageModel,
    prompt: str,
    sampling: Sampling,
    *,
    given: Given,
    caption_tokens: int,
    lyrics_tokens: int,
) -> Song:
    ids = lm.tokenizer.encode(prompt)
    heading = lm.tokenizer.encode(f"{END_THINK}{LYRICS_HEADING}")
    room = ANSWER_TOKENS + len(heading) + lyrics_tokens
    if len(ids) + room > lm.context:
        raise PlannerError(
            f"The text takes {len(ids)} tokens, but the language model's context has room for "
            f"{max(lm.context - room, 0)}."
        )
    rows = lm.rows([ids], room)
    constraint = MetadataConstraint(
        lm.vocabulary, given, DURATION_RANGE[1], caption_tokens=caption_tokens
    )
    last = write_metadata(rows, constraint, sampling)
    rows.append(torch.tensor([*last, *heading], device=rows.device))
    text = lm.tokenizer.decode(write_lyrics(rows, lyrics_tokens, sampling))
    metadata = read_metadata(constraint.text, given)
    return Song(metadata.caption or "", _HEADING.sub("", text, count=1).strip(), metadata)
