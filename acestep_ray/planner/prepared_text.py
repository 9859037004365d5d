"""What an engine has to do to write a song's text, as token ids and bounds; and how it is read.

The same for every engine with a model. First the LM writes metadata by the grammar, one token at a
time; then lyrics after a second prompt, which contains these metadata.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.planner.clean_text import clean_caption, clean_lyrics
from acestep_ray.planner.context import (
    ANSWER_TOKENS,
    CAPTION_TOKENS,
    longest_seconds,
    room_for_text,
)
from acestep_ray.planner.grammar import Given, body_grammar
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.prompts import (
    format_prompt,
    inspire_prompt,
    lyrics_prompt,
    song_prompt,
    understand_prompt,
)
from acestep_ray.planner.protocol import Metadata, PlannerError, WriteRequest
from acestep_ray.planner.song_outline import read_metadata
from acestep_ray.planner.song_text import has_lyrics_to_write, text_given
from acestep_ray.planner.tokens import STOP_IDS, LmTokenizer
from acestep_ray.settings import Lm


@dataclass(frozen=True)
class PreparedText:
    """A request, prepared."""

    request: WriteRequest
    given: Given
    text: str
    prompt: list[int]
    """``text`` as token ids: the metadata follow it."""
    caption_tokens: int
    lyrics_tokens: int
    """The most that may be written; 0: the LM is not asked for lyrics."""
    song_tokens: int
    """The most that ``prompts.song_prompt`` may have with the text: then its plan fits."""
    longest: int
    """Seconds that the LM may choose."""
    context: int

    @property
    def most_tokens(self) -> int:
        """The most that may be written in all."""
        return ANSWER_TOKENS - CAPTION_TOKENS + self.caption_tokens + self.lyrics_tokens

    @property
    def grammar(self) -> str:
        """The metadata, for llguidance, which every engine uses one token at a time."""
        return body_grammar(self.given, self.longest, self.caption_tokens)

    def metadata(self, tokenizer: LmTokenizer, ids: Sequence[int]) -> Metadata:
        """The metadata that were written as ``ids``. Raises PlannerError if they are not legal."""
        found = read_metadata(read_tokens(tokenizer, ids), self.given)
        return found.model_copy(update={"caption": clean_caption(found.caption or "") or None})

    def lyrics_prompt(self, tokenizer: LmTokenizer, metadata: Metadata) -> list[int]:
        """Token ids of the prompt that the lyrics follow."""
        return tokenizer.encode(lyrics_prompt(self.text, Given.all_of(metadata)))

    def most_lyrics(self, prompt: Sequence[int]) -> int:
        """How many tokens of lyrics may follow that prompt."""
        return min(self.lyrics_tokens, self.context - len(prompt))

    def lyrics(self, tokenizer: LmTokenizer, ids: Sequence[int], metadata: Metadata) -> str:
        """The lyrics that were written as ``ids``. Their end is cut off if the text is more tokens
        when it is read again, as a LM may have split its words in an unusual way, and the song
        would not fit."""
        words = clean_lyrics(read_tokens(tokenizer, ids))
        while words:
            song = tokenizer.encode(song_prompt(metadata.caption or "", words))
            excess = len(song) - self.song_tokens
            if excess <= 0:
                break
            words = clean_lyrics(read_tokens(tokenizer, tokenizer.encode(words)[:-excess]))
        return words


def prepare_text(request: WriteRequest, tokenizer: LmTokenizer, settings: Lm) -> PreparedText:
    """Check and prepare a request. Raises PlannerError if its text cannot be written, for example
    because it does not fit into the context."""
    request = request.checked()
    given = text_given(request)
    text = _prompt(request)
    ids = tokenizer.encode(text)
    with_lyrics = has_lyrics_to_write(request)
    kept = 0
    if with_lyrics and request.kind == "format":
        kept = len(tokenizer.encode(clean_lyrics(request.lyrics)))
    try:
        room = room_for_text(
            len(ids),
            caption=settings.caption_tokens,
            lyrics=settings.lyrics_tokens if with_lyrics else 0,
            kept=kept,
            codes=request.codes_after,
            context=settings.context,
        )
    except ValueError as error:
        raise PlannerError(f"The text cannot be written: {error}.") from None
    # The song must still fit when it is planned with this text.
    longest = min(int(request.max_duration), longest_seconds(room.song, settings.context))
    return PreparedText(
        request=request,
        given=given,
        text=text,
        prompt=ids,
        caption_tokens=room.caption,
        lyrics_tokens=room.lyrics,
        song_tokens=room.song,
        longest=max(longest, DURATION_RANGE[0]),
        context=settings.context,
    )


def read_tokens(tokenizer: LmTokenizer, ids: Sequence[int]) -> str:
    """The text of tokens, without what ends it and without bytes that are not UTF-8: a text that
    has reached its length may end inside a character."""
    end = len(ids)
    while end and ids[end - 1] in STOP_IDS:
        end -= 1
    return tokenizer.decode(ids[:end]).replace("\N{REPLACEMENT CHARACTER}", "")


def _prompt(request: WriteRequest) -> str:
    if request.kind == "sample":
        return inspire_prompt(request.query, instrumental=request.instrumental)
    if request.kind == "format":
        return format_prompt(request.caption, request.lyrics)
    return understand_prompt(request.codes)
