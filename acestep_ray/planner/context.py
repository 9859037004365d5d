"""What fits into the LM's context: prompt, metadata, and five codes per second, or lyrics."""

from dataclasses import replace

from acestep_ray.planner.grammar import Given
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.prompts import codes_prompt, song_prompt
from acestep_ray.planner.tokens import LmTokenizer
from acestep_ray.timebase import codes_of_seconds

CAPTION_TOKENS = 512
"""Longest caption that the LM may write."""
METADATA_TOKENS = CAPTION_TOKENS + 128
"""Kept free for the CoT: the caption and the other lines, even if these are one token per byte."""
ANSWER_TOKENS = METADATA_TOKENS - 8
"""The most that the LM writes between the CoT's tags."""
LYRICS_TOKENS = 2048
"""Longest lyrics that the LM may write."""
_END = 1
_HEADING = 8  # `prompts.LYRICS_HEADING`, and the end of the lyrics
_LEAST_LYRICS = 128  # with less room for lyrics, a text is refused


def check_context(prompt_tokens: int, seconds: float, context: int) -> None:
    """Raise ValueError, with one sentence for the client, if a song does not fit.

    ``prompt_tokens`` is the length of ``prompts.song_prompt``, or of the unconditional prompt if
    that is longer. ``seconds`` is 0 if only metadata are written.
    """
    codes = codes_of_seconds(seconds)
    left = context - METADATA_TOKENS - _END - codes
    if prompt_tokens > left:
        song = f" and the {codes} audio codes of {seconds:g} s" if codes else ""
        raise ValueError(
            f"a prompt of {prompt_tokens} tokens{song} cannot fit the language model's context of "
            f"{context} tokens; caption and lyrics may take {max(left, 0)}"
        )


def room_for_lyrics(prompt_tokens: int, most: int, context: int) -> int:
    """How many tokens of lyrics, at most ``most``, may follow a prompt and the metadata; 0 if
    ``most`` is 0. A quarter of the context is not exceeded, so that codes have room after them.

    Raises ValueError, with one sentence for the client, if the prompt does not fit.
    """
    most = min(most, context // 4)
    least = min(most, _LEAST_LYRICS)
    left = context - METADATA_TOKENS - _HEADING - least
    if prompt_tokens > left:
        raise ValueError(
            f"a prompt of {prompt_tokens} tokens cannot fit the language model's context of "
            f"{context} tokens; it may take {max(left, 0)}"
        )
    return min(most, context - METADATA_TOKENS - _HEADING - prompt_tokens)


def longest_seconds(prompt_tokens: int, context: int) -> int:
    """Length of the longest song that fits, in whole seconds; below 10, no song fits."""
    codes = context - METADATA_TOKENS - _END - prompt_tokens
    return max(min(codes // codes_of_seconds(1), DURATION_RANGE[1]), 0)


def codes_prompt_ids(tokenizer: LmTokenizer, caption: str, lyrics: str, cot: Given) -> list[int]:
    """``prompts.codes_prompt``, at most METADATA_TOKENS longer than ``prompts.song_prompt``.

    A caption of the LM of which YAML must escape every character would be longer: it is left out.
    """
    ids = tokenizer.encode(codes_prompt(caption, lyrics, cot))
    if len(ids) - len(tokenizer.encode(song_prompt(caption, lyrics))) > METADATA_TOKENS:
        return tokenizer.encode(codes_prompt(caption, lyrics, replace(cot, caption=None)))
    return ids
