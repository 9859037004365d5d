"""Values that have only one meaning, in the form that people and sliders write: "120 BPM", "30s",
"English", ".MP3"."""

import math
import re

from acestep_ray.api.request.coercion import Reason, listed, real
from acestep_ray.planner.language_names import language_of_name
from acestep_ray.planner.metadata import normalise_language

_DURATIONS = frozenset({"audio_duration", "repainting_start", "repainting_end"})
_ROUNDED = frozenset({"bpm", "inference_steps", "lm_top_k", "batch_size"})
_FORMATS = {"m4a": "aac", "wave": "wav", "mpeg": "mp3", "vorbis": "ogg"}
_LONGEST = 40
"""Characters of a text with a number; a longer one is not read."""

_REAL = r"\d+(?:\.\d*)?"
_S = r"s|secs?\.?|seconds?"
_TEMPO = re.compile(rf"({_REAL})\s*(?:bpm|beats (?:per|a) minute)", re.ASCII | re.IGNORECASE)
_SECONDS = re.compile(rf"([+-]?{_REAL})\s*(?:{_S})", re.ASCII | re.IGNORECASE)
_MINUTES = re.compile(
    rf"({_REAL})\s*(?:m|mins?\.?|minutes?)(?:\s*({_REAL})\s*(?:{_S})?)?", re.ASCII | re.IGNORECASE
)
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d(?:\.\d*)?)", re.ASCII)


def usual_form(name: str, value: object, most_takes: int | None) -> tuple[object, str]:
    """The value of the field ``name`` in the form that the native check reads, and a warning if it
    is now another value. Whether it is legal is for the native check to decide.

    ``most_takes``: most takes of a job; None: they are not limited here.
    """
    if isinstance(value, str):
        value = _without_words(name, value)
    if name == "seed":
        return _fewer_seeds(value, most_takes)
    if name not in _ROUNDED:
        return value, ""
    try:
        number = real(value)
    except (Reason, ValueError):
        return value, ""
    if name == "batch_size" and most_takes is not None and number > most_takes:
        return (
            most_takes,
            f"batch_size is at most {most_takes}: {most_takes} is used, not {number:g}.",
        )
    if number < 1 or number.is_integer():
        return value, ""
    rounded = math.floor(number + 0.5)
    return rounded, f"{name} must be a whole number: {rounded} is used, not {number:g}."


def _without_words(name: str, sent: str) -> object:
    """The value that a text stands for; the text itself, unchanged, if it stands for no other."""
    text = sent.strip()
    if name == "vocal_language":
        return sent if normalise_language(text) else language_of_name(text) or sent
    if name == "audio_format":
        word = text.lower().removeprefix("audio/").removeprefix(".")
        return _FORMATS.get(word, word)
    if len(text) > _LONGEST:
        return sent
    if name == "bpm" and (match := _TEMPO.fullmatch(text)):
        return match[1]
    if name in _DURATIONS and (seconds := _seconds(text)) is not None:
        return seconds
    return sent


def _seconds(text: str) -> float | None:
    """Seconds of "30s", "2 min", "1m30s" or "1:30"; None for any other text."""
    if match := _SECONDS.fullmatch(text):
        return float(match[1])
    if match := _MINUTES.fullmatch(text) or _CLOCK.fullmatch(text):
        return 60 * float(match[1]) + float(match[2] or 0)
    return None


def _fewer_seeds(value: object, most_takes: int | None) -> tuple[object, str]:
    """A list of seeds, cut to the most takes of a job."""
    seeds = listed(value)
    if isinstance(seeds, str) and "," in seeds:
        seeds = seeds.split(",")
    if most_takes is None or not isinstance(seeds, list) or len(seeds) <= most_takes:
        return value, ""
    warning = f"seed lists {len(seeds)} seeds: the first {most_takes} are used, one for each take."
    return seeds[:most_takes], warning
