"""What a caption's words mean for tempo, key and metre. Both mock engines share these rules."""

import re
from dataclasses import dataclass

_BPM_RANGE = (30, 300)


@dataclass(frozen=True)
class CaptionReading:
    """What a caption states, before anything is drawn. None: it states nothing about that."""

    bpm: int | None
    """A tempo in numbers, beats per minute."""
    tempo: tuple[int, int]
    """The range that suits its words, beats per minute, both ends included."""
    key: str | None
    """A key by name, such as "F# minor" or "Bb major"."""
    minor: bool | None
    """The mode of its moods; if it has none, or as many of each, the usual mode of its style."""
    metre: str | None
    """Beats per bar: 2, 3, 4 or 6."""


def read_caption(caption: str) -> CaptionReading:
    """Read ``caption``. A pure function: the same words mean the same to every engine."""
    return CaptionReading(
        _bpm(caption), _tempo(caption), _key(caption), _minor(caption), _metre(caption)
    )


def _any(words: str) -> re.Pattern[str]:
    """Any of the words, separated by commas; a space in a word also matches a hyphen or nothing."""
    patterns = (word.strip().replace(" ", r"[\s-]?") for word in words.split(","))
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


_DRUM_AND_BASS = r"drum (?:and|&|n|'n') bass, dnb, d&b, jungle, breakcore"
_HIP_HOP = "hip hop, rap, boom bap, r&b, rnb"
_METAL = "hardcore, gabber, speed metal, thrash, punk, metal"

# The first row with a word in the caption gives the range of beats per minute, so words about tempo
# come before words about style, and narrow styles before wide ones. Drum and bass is first: it is
# called fast or slow for other reasons than its tempo, which is always the same.
_TEMPOS: tuple[tuple[re.Pattern[str], int, int], ...] = (
    (_any(_DRUM_AND_BASS), 170, 178),
    (_any("very slow, extremely slow, largo, lento, dirge"), 42, 60),
    (_any("very fast, extremely fast, presto, prestissimo, frantic, blazing"), 168, 200),
    (_any("mid tempo, medium tempo, moderate, moderato, walking pace"), 92, 110),
    (_any("adagio, larghetto"), 60, 76),
    (_any("andante, andantino"), 76, 100),
    (_any("allegretto"), 104, 120),
    (_any("vivace"), 150, 168),
    (_any("slow, slowly, slower, down tempo"), 60, 76),
    (_any("fast, faster, rapid, quick, up tempo, racing, allegro"), 140, 168),
    (_any(_METAL), 156, 176),
    (_any("trance, psytrance"), 134, 142),
    (_any("dubstep, trap"), 136, 144),
    (_any("techno"), 126, 136),
    (_any("house, edm, disco, eurodance, electro, club, rave"), 120, 128),
    (_any(r"lullaby, ambient, drone, meditat\w*, new age, sleep, atmospheric"), 54, 72),
    (_any("lo fi, chillhop"), 78, 90),
    (
        _any("ballad, love song, tender, chill, chillout, calm, gentle, soft, relaxing, dreamy"),
        66,
        84,
    ),
    (_any(f"{_HIP_HOP}, soul"), 82, 98),
    (_any("reggae, ska, dub"), 72, 90),
    (_any("upbeat, lively, danceable, dance, funky, funk, cheerful"), 112, 126),
    (_any("energetic, driving, powerful, intense, rock, grunge"), 124, 146),
    (_any("waltz"), 92, 108),
    (_any("synthwave, synth pop, vaporwave"), 100, 118),
    (_any(r"classical, orchestra\w*, cinematic, epic, symphon\w*, film score, baroque"), 76, 100),
    (_any(r"jazz, swing, bebop, bossa nova, salsa, samba, blues, folk, country, pop"), 92, 124),
)
_NO_WORD_TEMPO = (84, 132)
_BPM = re.compile(r"\b([0-9]{2,3})(?:\.0+)?[\s-]*(?:bpm\b|beats (?:per|a) minute)", re.IGNORECASE)


def _bpm(caption: str) -> int | None:
    low, high = _BPM_RANGE
    found = (int(match[1]) for match in _BPM.finditer(caption))
    return next((bpm for bpm in found if low <= bpm <= high), None)


def _tempo(caption: str) -> tuple[int, int]:
    ranges = ((low, high) for words, low, high in _TEMPOS if words.search(caption))
    return next(ranges, _NO_WORD_TEMPO)


_MINOR = _any(
    r"minor, sad, sadness, melanchol\w*, dark, darkness, gloomy, sorrow, sorrowful, tragic, moody, "
    "somber, sombre, haunting, eerie, angry, ominous, mysterious, lonely, heartbreak, heartbroken, "
    "mournful, grief, bleak, menacing, sinister, bittersweet, tense"
)
_MAJOR = _any(
    "major, happy, happiness, joyful, joyous, joy, bright, cheerful, uplifting, upbeat, sunny, "
    "playful, triumphant, celebratory, celebration, hopeful, optimistic, fun, carefree, festive, "
    "warm, feel good, romantic, heroic"
)
_USUALLY_MINOR = _any(f"{_DRUM_AND_BASS}, trap, lo fi, chillhop, {_HIP_HOP}, {_METAL}")


def _minor(caption: str) -> bool | None:
    major, minor = len(_MAJOR.findall(caption)), len(_MINOR.findall(caption))
    if major != minor:
        return minor > major
    return True if _USUALLY_MINOR.search(caption) else None


_KEY = re.compile(
    r"(?P<before>\b(?:in|key of|key:?)\s+)?"
    r"\b(?P<key>(?P<note>[A-G])(?P<accidental>[#♯♭b]|[\s-]?(?:sharp|flat))?"
    r"[\s-]?(?:major|minor|maj|min)|(?-i:[A-G][#♯♭b]?m)(?!\s+I\b))\b"  # "Am", not "am", "Am I"
    r"(?P<after>[\s-]+(?:key|mode|mood|scale|feel|chords?)\b)?",
    re.IGNORECASE,
)
_KEY_PARTS = re.compile(
    r"(?P<note>[A-G])[\s-]?(?P<accidental>sharp|flat|[#♯♭b])?[\s-]?(?P<mode>m\w*)", re.IGNORECASE
)
_ACCIDENTALS = {"♯": "#", "sharp": "#", "♭": "b", "flat": "b"}


def _key(caption: str) -> str | None:
    for match in _KEY.finditer(caption):
        # "a minor setback", "in a minor key", "A major hit": an article, not the note A.
        article = match["note"] in ("a", "A") and not match["accidental"]
        if not (article and (not match["before"] or (match["note"] == "a" and match["after"]))):
            return _spelled(match["key"])
    return None


def _spelled(key: str) -> str:
    """In the models' spelling: "F# minor" for "f♯-min" and "F#m"."""
    parts = _KEY_PARTS.fullmatch(key)
    assert parts is not None
    accidental = (parts["accidental"] or "").casefold()
    mode = "major" if parts["mode"].lower().startswith("maj") else "minor"
    return f"{parts['note'].upper()}{_ACCIDENTALS.get(accidental, accidental)} {mode}"


_METRES: tuple[tuple[re.Pattern[str], str], ...] = (
    (_any("waltz, waltzes, triple metre, triple meter, minuet, mazurka"), "3"),
    (_any("jig, tarantella, barcarolle, compound metre, compound meter"), "6"),
    (_any("march, marching, polka, two step, samba"), "2"),
)
_TIME_SIGNATURE = re.compile(r"(?<![0-9/])(?:([234])/4|(6)/8)(?![0-9/])")


def _metre(caption: str) -> str | None:
    named = _TIME_SIGNATURE.search(caption)
    if named:
        return named[1] or named[2]
    return next((beats for words, beats in _METRES if words.search(caption)), None)
