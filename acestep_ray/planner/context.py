"""What fits into the LM's context: prompt, metadata, and five codes per second, or lyrics."""

from dataclasses import dataclass, replace

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
_LEAST_CAPTION = 128  # likewise
_SONG_FRAME = 48  # tokens of ``prompts.song_prompt("", "")``, and some more


@dataclass(frozen=True)
class TextRoom:
    """How many tokens of a song's text the LM may write. ``song``: the most that
    ``prompts.song_prompt`` then has."""

    caption: int
    lyrics: int
    song: int


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


def room_for_text(
    prompt_tokens: int, *, caption: int, lyrics: int, kept: int, codes: int, context: int
) -> TextRoom:
    """What fits of at most ``caption`` and ``lyrics`` tokens, if the metadata and the lyrics follow
    a prompt, and the song is then planned with this text and so many ``codes``.

    ``lyrics`` is 0 if the LM is not asked for them. ``kept``: length of the user's lyrics that stay
    if the LM writes none, or 0. The lyrics do not exceed a quarter of the context, so that codes
    have room. If it is narrow, the caption gets less, and then the lyrics.

    Raises ValueError, with one sentence for the client, if prompt or codes do not fit.
    """
    lyrics = min(lyrics, context // 4)
    least = min(lyrics, _LEAST_LYRICS)
    left = context - METADATA_TOKENS - _HEADING - least
    if prompt_tokens > left:
        raise ValueError(
            f"a prompt of {prompt_tokens} tokens cannot fit the language model's context of "
            f"{context} tokens; it may take {max(left, 0)}"
        )
    words = context - METADATA_TOKENS - _END - _SONG_FRAME - codes  # caption and lyrics
    least_caption = min(caption, _LEAST_CAPTION)
    needed = least_caption + max(least, kept)
    if needed > words:
        raise ValueError(
            f"caption and lyrics of {needed} tokens and {codes} audio codes after them cannot fit "
            f"the language model's context of {context} tokens; caption and lyrics may take "
            f"{max(words, 0)}"
        )
    caption = min(caption, max(words - max(lyrics, kept), least_caption))
    written = context - METADATA_TOKENS - _HEADING - prompt_tokens
    lyrics = min(lyrics, words - caption, written)
    return TextRoom(caption, lyrics, _SONG_FRAME + caption + max(lyrics, kept))


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
