"""How long a song is, if there are several sources for its length.

The first of these that exists is used:

1. the user's duration, as it was given;
2. the LM's duration, unless the song has lyrics and the duration is below ``lm_min_duration``
   (30 s): such plans cut songs off;
3. the estimate from the lyrics, if there are any, for plans with audio codes;
4. the default setting.

For jobs without the LM, 2 and 3 do not exist. The reference server uses the same order.
"""

import re

from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.settings import Lyrics

_WORD = re.compile(r"[A-Za-z0-9']+")
_INSTRUMENTAL = re.compile(r"\s*(\[\s*inst(rumental)?\s*\]\s*)*", re.IGNORECASE)


def is_sung(lyrics: str) -> bool:
    """Whether there are words to sing: not if the lyrics are blank or only "[Instrumental]" or
    "[inst]", in upper or lower case and with white space anywhere between the words and brackets.
    """
    return not _INSTRUMENTAL.fullmatch(lyrics)


def estimate_seconds(lyrics: str, settings: Lyrics) -> float:
    """Length of a song with these lyrics, seconds, within the settings' bounds.

    Counted are the words or, if fewer than eight are found (scripts without spaces or Latin
    letters), the characters. The formula is that of the reference server, which also counts section
    tags.
    """
    words = len(_WORD.findall(lyrics))
    if words >= 8:
        seconds = words / settings.words_per_second
    else:
        seconds = sum(not char.isspace() for char in lyrics) / settings.chars_per_second
    return min(max(seconds, settings.min_duration), settings.max_duration)


def choose_duration(
    given: float | None,
    lm: int | None,
    lyrics: str,
    settings: Lyrics,
    default: float,
    *,
    estimate: bool = True,
    bounds: tuple[float, float] = DURATION_RANGE,
) -> float:
    """Seconds, by the order above; ``estimate``: whether source 3 is used.

    A length that is not the user's is limited to ``bounds``; the user's was checked by the API.
    """
    if given is not None:
        return given
    has_lyrics = is_sung(lyrics)
    if lm is not None and not (has_lyrics and lm < settings.lm_min_duration):
        seconds = float(lm)
    elif has_lyrics and estimate:
        seconds = estimate_seconds(lyrics, settings)
    else:
        seconds = default
    return min(max(seconds, bounds[0]), bounds[1])
