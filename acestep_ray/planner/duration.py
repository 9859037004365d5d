"""How long a song is, where several have a say.

In this order; the first that speaks wins:

1. the user's duration, as it was given;
2. the LM's, unless the song has lyrics and it is shorter than ``lm_min_duration`` (30 s): such
   plans cut songs off;
3. the estimate from the lyrics, where there are any, for plans with audio codes;
4. the default setting.

Jobs without the LM have no say at 2 and 3. This is the reference server's order.
"""

import re

from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.settings import Lyrics

_WORD = re.compile(r"[A-Za-z0-9']+")
_INSTRUMENTAL = frozenset({"", "[inst]", "[instrumental]"})


def is_sung(lyrics: str) -> bool:
    """Whether there are words to sing: not where the lyrics are blank or say "[Instrumental]"."""
    return lyrics.strip().lower() not in _INSTRUMENTAL


def estimate_seconds(lyrics: str, settings: Lyrics) -> float:
    """Length of a song with these lyrics, seconds, within the settings' bounds.

    From the words, or, where fewer than eight are found (scripts without spaces or Latin letters),
    from the characters. The formula is the reference server's, section tags counted and all.
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
    """Seconds, by the order above; ``estimate`` says whether step 3 has a say.

    What is not the user's own is brought within ``bounds``; the user's was checked at the door.
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
