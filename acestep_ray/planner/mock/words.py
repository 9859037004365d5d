"""What a caption's words say about tempo, key and metre: the mock's idea of music."""

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from acestep_ray.planner.metadata import BPM_RANGE, normalise_key, normalise_time_signature

T = TypeVar("T")


def _any(words: str) -> re.Pattern[str]:
    """Any of the words, separated by commas; for a space in one, a hyphen or nothing will do."""
    patterns = (word.strip().replace(" ", r"[\s-]?") for word in words.split(","))
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


# The first row with a word in the caption gives the range of beats a minute, so what speaks of
# tempo itself stands before what speaks of style.
_TEMPO: tuple[tuple[re.Pattern[str], int, int], ...] = (
    (_any("very slow, extremely slow, largo, lento"), 42, 60),
    (_any("very fast, extremely fast, presto, prestissimo, frantic, blazing"), 168, 200),
    (_any("mid tempo, medium tempo, moderate, moderato, walking pace"), 92, 110),
    (_any("adagio, larghetto"), 60, 76),
    (_any("andante, andantino"), 76, 100),
    (_any("allegretto"), 104, 120),
    (_any("vivace"), 150, 168),
    (_any("slow, slowly, slower, down tempo"), 58, 76),
    (_any("fast, faster, rapid, quick, up tempo, racing, allegro"), 140, 168),
    (_any("drum (?:and|&|n|'n') bass, dnb, d&b, jungle"), 170, 178),
    (_any("hardcore, gabber, speed metal, thrash, punk"), 160, 190),
    (_any("trance, psytrance"), 134, 142),
    (_any("dubstep, trap"), 136, 144),
    (_any("techno"), 126, 136),
    (_any("house, edm, disco, eurodance"), 118, 128),
    (_any("lullaby, ambient, drone, meditation, meditative"), 54, 72),
    (
        _any("ballad, lo fi, chill, chillhop, chillout, calm, gentle, soft, relaxing, dreamy"),
        66,
        84,
    ),
    (_any("hip hop, rap, boom bap, r&b, rnb, soul, reggae, dub"), 82, 98),
    (_any("upbeat, lively, danceable, dance, funky, funk, cheerful"), 112, 126),
    (_any("energetic, driving, powerful, intense, metal, rock"), 124, 146),
    (_any("waltz"), 88, 108),
    (_any("jazz, swing, bossa nova, blues, folk, country, pop"), 92, 124),
)
_NO_WORD_TEMPO = (84, 132)
_BPM = re.compile(r"\b([0-9]{2,3})(?:\.0+)?[\s-]*(?:bpm\b|beats (?:per|a) minute)", re.IGNORECASE)

_MINOR = _any(
    "minor, sad, sadness, melancholy, melancholic, dark, gloomy, sorrow, sorrowful, tragic, moody, "
    "somber, sombre, haunting, eerie, angry, ominous, mysterious, lonely, heartbreak, heartbroken, "
    "mournful, grief, bleak, menacing, sinister, bittersweet, tense"
)
_MAJOR = _any(
    "major, happy, happiness, joyful, joyous, joy, bright, cheerful, uplifting, upbeat, sunny, "
    "playful, triumphant, celebratory, celebration, hopeful, optimistic, fun, carefree, festive, "
    "warm, feel good, romantic, heroic"
)
_KEY = re.compile(
    r"(?P<before>\b(?:in|key of|key:?)\s+)?"
    r"\b(?P<key>(?P<note>[A-G])(?P<accidental>[#♯♭b]|[\s-]?(?:sharp|flat))?"
    r"[\s-]?(?:major|minor|maj|min)|(?-i:[A-G][#♯♭b]?m)(?!\s+I\b))\b"  # "Am", not "am", "Am I"
    r"(?P<after>[\s-]+(?:key|mode|mood|scale|feel|chords?)\b)?",
    re.IGNORECASE,
)
_TONICS = {
    "major": ("C", "G", "D", "A", "E", "F", "Bb", "Eb"),
    "minor": ("A", "E", "B", "F#", "C#", "D", "G", "C"),
}

_METRES: tuple[tuple[re.Pattern[str], str], ...] = (
    (_any("waltz, waltzes, triple metre, triple meter, minuet, mazurka"), "3"),
    (_any("jig, tarantella, barcarolle, compound metre, compound meter"), "6"),
    (_any("march, marching, polka, two step, samba"), "2"),
)


def pick(options: Sequence[T], rng: np.random.Generator) -> T:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def bpm_of(caption: str, rng: np.random.Generator) -> int:
    """Beats a minute: a number with "bpm" as it stands, else within the range of a tempo word."""
    low, high = BPM_RANGE
    for match in _BPM.finditer(caption):
        if low <= int(match[1]) <= high:
            return int(match[1])
    ranges = ((first, last) for words, first, last in _TEMPO if words.search(caption))
    first, last = next(ranges, _NO_WORD_TEMPO)
    return int(rng.integers(first, last + 1))


def keyscale_of(caption: str, rng: np.random.Generator) -> str:
    """A key named in the caption, else a usual one of the mode that its moods speak for."""
    named = _named_key(caption)
    if named:
        return named
    votes = len(_MAJOR.findall(caption)) - len(_MINOR.findall(caption))
    mode = pick(("major", "minor"), rng) if votes == 0 else "major" if votes > 0 else "minor"
    return f"{pick(_TONICS[mode], rng)} {mode}"


def time_signature_of(caption: str) -> str:
    """A metre named in the caption ("3/4", "waltz"), else 4."""
    for text in re.findall(r"(?<![0-9/])[0-9]/[0-9](?![0-9/])", caption):
        named = normalise_time_signature(text)
        if named:
            return named
    return next((beats for words, beats in _METRES if words.search(caption)), "4")


def _named_key(caption: str) -> str | None:
    for match in _KEY.finditer(caption):
        # "a minor setback", "in a minor key", "A major hit": an article, not the note A.
        article = match["note"] in ("a", "A") and not match["accidental"]
        if article and (not match["before"] or (match["note"] == "a" and match["after"])):
            continue
        key = normalise_key(match["key"])
        if key:
            return key
    return None
