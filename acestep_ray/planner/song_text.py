"""What is known before the LM writes a song's text, and the text that is made of what it wrote.

The same for every engine.
"""

from acestep_ray.planner.clean_text import clean_caption, clean_lyrics
from acestep_ray.planner.duration import choose_duration, is_sung
from acestep_ray.planner.grammar import Given
from acestep_ray.planner.language_names import named_language
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.prompts import INSTRUMENTAL
from acestep_ray.planner.protocol import Metadata, PlannerError, SongText, WriteRequest
from acestep_ray.settings import Lyrics
from acestep_ray.timebase import codes_of_seconds


def text_given(request: WriteRequest) -> Given:
    """The fields that a request gives, with the language that a sample's query names and the length
    of understood codes. Raises PlannerError for a value that the grammar does not know."""
    duration = None if request.duration is None else int(request.duration)
    if duration is None and request.kind == "understand" and request.codes:
        low, high = DURATION_RANGE
        duration = min(max(len(request.codes) // codes_of_seconds(1), low), high)
    language = request.vocal_language
    if not language and request.kind == "sample":
        language = named_language(request.query)
    try:
        return Given(
            bpm=request.bpm,
            duration=duration,
            keyscale=request.key_scale,
            language=language,
            timesignature=request.time_signature,
        )
    except ValueError as error:
        raise PlannerError(f"The text cannot be written: {error}.") from None


def has_lyrics_to_write(request: WriteRequest) -> bool:
    """Whether the LM is asked for lyrics.

    Not for an instrumental sample, nor to format a song without words: whatever the LM wrote would
    be sung. The reference server asks nevertheless, and uses what it gets.
    """
    if request.kind == "sample":
        return not request.instrumental
    return request.kind == "understand" or is_sung(request.lyrics)


def song_text(
    request: WriteRequest,
    written: Metadata,
    lyrics: str | None,
    settings: Lyrics,
    *,
    longest: float,
    model: str,
    elapsed: float,
    mock: bool = False,
) -> SongText:
    """The text of what the LM wrote: its metadata, and its lyrics or None if it was not asked.

    Without lyrics, a formatted song keeps the user's. The length is chosen as in plans, of which
    ``longest`` is the bound in seconds; so a song with words is never so short that it is cut off.
    """
    words = clean_lyrics(lyrics or "")
    if not words and request.kind == "format":
        words = clean_lyrics(request.lyrics)
    if not is_sung(words):
        words = INSTRUMENTAL
    caption = clean_caption(written.caption or "") or clean_caption(request.caption)
    caption = caption or clean_caption(request.query)
    seconds = written.duration
    if request.kind != "understand":
        bounds = (DURATION_RANGE[0], max(longest, DURATION_RANGE[0]))
        seconds = int(
            choose_duration(
                request.duration,
                written.duration,
                words,
                settings,
                DURATION_RANGE[0],
                bounds=bounds,
            )
        )
    return SongText(
        caption=caption,
        lyrics=words,
        metadata=written.model_copy(update={"caption": caption, "duration": seconds}),
        model=model,
        elapsed=elapsed,
        mock=mock,
    )
