"""What a caption requests: tempo, metre, mode, groove and instruments."""

import re
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from acestep_ray.caption_words import CaptionReading, read_caption
from acestep_ray.decoder.mock.drums import KITS
from acestep_ray.decoder.mock.seeding import generator
from acestep_ray.decoder.mock.theory import Key, find_key

_T = TypeVar("_T")

Feel = Literal["straight", "four", "break", "half", "swing", "soft", "none"]
"""How the drums play; see rhythm.py."""
Comping = Literal["block", "strum", "arpeggio", "stab"]
"""How the chords are played; see arrange.py."""
BassLine = Literal["pulse", "fifths", "octaves", "late", "long", "walk"]
"""How the bass is played; see arrange.py."""


@dataclass(frozen=True)
class Style:
    """The result of reading a caption. Instruments are names of voices.TIMBRES."""

    bpm: int
    meter: int
    key: Key
    feel: Feel
    comping: Comping
    chords: str
    lead: str
    bass: str
    bass_line: BassLine
    pad: str
    kit: int
    """Number of the drum kit, below drums.KITS."""
    deep_voice: bool


@dataclass(frozen=True)
class _Genre:
    """What a genre's name means; if it offers several choices, the seed decides."""

    words: str
    feel: Feel
    comping: tuple[Comping, ...]
    chords: tuple[str, ...]
    lead: tuple[str, ...]
    bass: str
    pad: str


# The first row with a word in the caption is used, so narrow styles come before wide ones.
_GENRES = (
    _Genre(
        "drum and bass|drum n bass|drum & bass|dnb|d&b|jungle|breakcore", "break",
        ("stab", "arpeggio"), ("synth", "epiano"), ("synth", "bell"), "reese", "warm",
    ),
    _Genre(
        "ambient|drone|meditat\\w*|new age|sleep|atmospheric", "soft",
        ("arpeggio", "block"), ("bell", "epiano", "piano"), ("flute", "bell"), "sub", "warm",
    ),
    _Genre(
        "waltz", "straight", ("block", "arpeggio"), ("piano", "guitar"),
        ("strings", "flute"), "upright", "strings",
    ),
    _Genre(
        "jazz|swing|bebop|big band|blues", "swing", ("stab", "block"),
        ("piano", "guitar", "epiano"), ("brass", "flute", "piano"), "upright", "none",
    ),
    _Genre(
        "trap|hip[- ]?hop|rap|lo-?fi|boom bap|r&b|rnb|chill\\w*", "half",
        ("block", "arpeggio"), ("epiano", "piano", "guitar"), ("bell", "flute", "synth"), "sub",
        "warm",
    ),
    _Genre(
        "house|techno|edm|dance|trance|electro\\w*|disco|club|rave", "four",
        ("stab", "arpeggio"), ("synth", "piano", "organ"), ("synth", "bell"), "reese", "warm",
    ),
    _Genre(
        "metal|punk|hardcore|thrash", "straight", ("strum",), ("crunch",),
        ("crunch", "synth"), "pick", "none",
    ),
    _Genre(
        "rock|grunge|indie|alternative", "straight", ("strum", "block"),
        ("crunch", "guitar"), ("crunch", "organ"), "pick", "none",
    ),
    _Genre(
        "reggae|ska|dub", "four", ("stab",), ("guitar", "organ"), ("organ", "brass"),
        "sub", "none",
    ),
    _Genre(
        "funk|soul|latin|salsa|bossa|samba|afro\\w*", "straight", ("stab",),
        ("epiano", "guitar"), ("brass", "flute"), "pick", "none",
    ),
    _Genre(
        "ballad|love song|tender|lullaby", "soft", ("arpeggio", "block"),
        ("piano", "guitar"), ("strings", "piano"), "upright", "strings",
    ),
    _Genre(
        "classical|orchestra\\w*|cinematic|epic|symphon\\w*|film score|baroque", "soft",
        ("arpeggio", "block"), ("piano", "strings"), ("strings", "flute", "brass"), "upright",
        "strings",
    ),
    _Genre(
        "folk|country|acoustic|bluegrass|singer[- ]songwriter", "straight",
        ("strum", "arpeggio"), ("guitar",), ("flute", "strings", "guitar"), "upright", "none",
    ),
    _Genre(
        "synthwave|synth[- ]?pop|retro|80s|vaporwave", "four", ("arpeggio", "stab"),
        ("synth",), ("synth", "bell"), "reese", "warm",
    ),
)  # fmt: skip
_ANY = _Genre(
    "", "straight", ("block", "strum", "arpeggio"), ("piano", "guitar", "epiano"),
    ("synth", "bell", "strings", "piano"), "pick", "warm",
)  # fmt: skip

# Instruments that a caption may name, and the voice that plays them.
_INSTRUMENTS = (
    ("electric piano|rhodes|wurlitzer|epiano", "epiano"),
    ("piano|keys|keyboard", "piano"),
    ("distort\\w*|electric guitars?|heavy guitars?|crunch\\w*", "crunch"),
    ("guitars?|ukulele|banjo|mandolin|harp", "guitar"),
    ("synth\\w*|electronic|arp", "synth"),
    ("organ|hammond|accordion|harmonica", "organ"),
    ("strings?|violins?|cellos?|viola|orchestra\\w*", "strings"),
    ("flutes?|whistle|clarinet|woodwinds?|pan ?pipes?", "flute"),
    ("bells?|music box|glockenspiel|vibraphone|marimba|chimes?|kalimba", "bell"),
    ("brass|trumpets?|horns?|sax\\w*|trombones?", "brass"),
)  # fmt: skip
_LEADS = frozenset({"strings", "flute", "bell", "brass", "organ"})
_BOTH = frozenset({"strings", "bell", "organ"})  # leads that can play chords as well

_BASS_LINES: dict[Feel, tuple[BassLine, ...]] = {
    "straight": ("pulse", "fifths", "octaves", "late"),
    "four": ("pulse", "octaves", "late"),
    "break": ("long", "fifths", "late"),
    "half": ("long", "late", "fifths"),
    "swing": ("walk",),
    "soft": ("long", "fifths"),
    "none": ("long",),
}

_NO_DRUMS = "no drums|without drums|drumless|no percussion|unaccompanied|beatless"
_DEEP = "male|man|baritone|bass voice|deep voice|tenor"


def _has(caption: str, words: str) -> bool:
    return re.search(rf"(?<![\w-])(?:{words})(?![\w-])", caption) is not None


def _bpm(caption: str, reading: CaptionReading) -> int:
    """The caption's own number, otherwise one from the range that suits its words."""
    if reading.bpm is not None:
        return reading.bpm
    low, high = reading.tempo
    return int(generator("bpm", caption).integers(low, high + 1))


def read_style(
    caption: str, seed: int, bpm: int | None, key_scale: str, time_signature: str
) -> Style:
    """What ``caption`` requests; if given, ``bpm``, ``key_scale`` and ``time_signature`` are used.

    What neither states is drawn: the tempo from the caption alone, the rest also from the seed. In
    6/8 the bpm counts eighths, in the others quarters: a bar always has as many beats as the time
    signature's upper number. Raises ValueError for an invalid key.
    """
    words, reading = caption.casefold(), read_caption(caption)
    genre = next((genre for genre in _GENRES if _has(words, genre.words)), _ANY)
    rng = generator("style", seed, caption)
    meter = int(time_signature or reading.metre or 4)
    tonic, coin, deep = int(rng.integers(12)), bool(rng.random() < 0.5), bool(rng.random() < 0.35)
    if key_scale:
        key = find_key(key_scale)
        if key is None:
            raise ValueError(f"not a key: {key_scale!r}")
    else:
        named_key = find_key(reading.key) if reading.key else None
        key = named_key or Key(tonic, coin if reading.minor is None else reading.minor)
    named = [voice for pattern, voice in _INSTRUMENTS if _has(words, pattern)]
    leads = [voice for voice in named if voice in _LEADS]
    chords = [voice for voice in named if voice not in _LEADS]
    chords = chords or [voice for voice in leads if voice in _BOTH]
    return Style(
        bpm=bpm or _bpm(words, reading),
        meter=meter,
        key=key,
        feel="none" if _has(words, _NO_DRUMS) else genre.feel,
        comping=_one(rng, genre.comping),
        chords=_one(rng, tuple(chords) or genre.chords),
        lead=_one(rng, tuple(leads) or genre.lead),
        bass=genre.bass,
        bass_line=_one(rng, _BASS_LINES[genre.feel]),
        pad=genre.pad,
        kit=int(rng.integers(KITS)),
        deep_voice=_has(words, _DEEP) or (deep and not _has(words, "female|woman|girl|soprano")),
    )


def _one(rng: np.random.Generator, choices: tuple[_T, ...]) -> _T:
    return choices[int(rng.integers(len(choices)))]
