"""The metadata that the 5Hz LM was trained on: what is legal, and how people write it.

The bounds are those of the model. The HTTP API uses the normalisers and the grammar uses the
tables, so a value that was accepted can always be forced into the LM's text.
"""

import re

# fmt: off
LANGUAGES: tuple[str, ...] = (
    "ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi",
    "hr", "ht", "hu", "id", "is", "it", "ja", "ko", "la", "lt", "ms", "ne", "nl", "no", "pa", "pl",
    "pt", "ro", "ru", "sa", "sk", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi",
    "yue", "zh", "unknown",
)
# fmt: on
"""The 51 language codes; ``unknown`` is one of them."""

KEYSCALES: tuple[str, ...] = tuple(
    f"{note}{accidental} {mode}"
    for note in "CDEFGAB"
    for accidental in ("", "#", "b", "♯", "♭")
    for mode in ("major", "minor")
)
"""The 70 spellings. ``F# minor`` and ``F♯ minor`` are one key, and two texts for the models."""

TIME_SIGNATURES: tuple[str, ...] = ("2", "3", "4", "6")
BPM_RANGE = (30, 300)
DURATION_RANGE = (10, 600)
"""Whole seconds; both ends are legal."""

_SEPARATOR = r"[\s_:-]*"
# The letter b is an accidental only directly after its note: "A b" would be a guess.
_KEY = re.compile(
    rf"(?P<note>[a-h])(?P<accidental>b|\s*[#♯♭]|{_SEPARATOR}(?:sharp|flat))?"
    rf"(?:{_SEPARATOR}(?P<mode>major|minor|maj|min|m|dur|moll))?",
    re.IGNORECASE,
)
_GERMAN_KEY = re.compile(rf"(?P<note>[a-h](?:is|es|s)?){_SEPARATOR}(?P<mode>dur|moll)", re.I)
_GERMAN_NOTES = (
    {letter.lower(): letter for letter in "CDEFGA"}
    | {"h": "B", "b": "Bb", "es": "Eb", "as": "Ab", "his": "B#", "hes": "Bb"}
    | {f"{letter.lower()}is": f"{letter}#" for letter in "CDEFGA"}
    | {f"{letter.lower()}es": f"{letter}b" for letter in "CDFG"}
)
_METRES = {"2/4": "2", "3/4": "3", "4/4": "4", "6/8": "6"}
_LANGUAGE_TAG = re.compile(r"([a-z]{2,7})(?:[-_][a-z0-9]{1,8})*", re.IGNORECASE | re.ASCII)


def normalise_key(text: str) -> str | None:
    """The model's spelling of a key (``F# minor``), or None if ``text`` is not a key.

    Case does not matter ("f# MINOR"), except for a mode of one letter: "Am" is A minor and "AM" is
    A major, as in chord symbols. No mode means major. ♯ and ♭ stay: the language model writes them,
    too, and a song that is made again with its key must be the same. With "dur" and "moll" the
    notes are German: "B-Dur" is Bb major, "H-Dur" B major, "fis-Moll" F# minor.
    """
    text = text.strip()
    german = _GERMAN_KEY.fullmatch(text)
    if german:
        note = _GERMAN_NOTES.get(german["note"].lower())
        return note and f"{note} {'major' if german['mode'].lower() == 'dur' else 'minor'}"
    match = _KEY.fullmatch(text)
    if not match or match["note"] in "hH":
        return None
    accidental = (match["accidental"] or "").strip(" \t_:-").lower()
    accidental = {"sharp": "#", "flat": "b"}.get(accidental, accidental)
    mode = match["mode"] or "major"
    minor = mode == "m" or mode.lower() in ("min", "minor", "moll")
    return f"{match['note'].upper()}{accidental} {'minor' if minor else 'major'}"


def normalise_time_signature(value: str | float) -> str | None:
    """``2``, ``3``, ``4`` or ``6`` for "4/4", "6/8", "4", 4 or 4.0; None for anything else."""
    if isinstance(value, str):
        value = "".join(value.split())
        beats = _METRES.get(value, re.sub(r"\.0+$", "", value))
        return beats if beats in TIME_SIGNATURES else None
    return str(int(value)) if value in (2, 3, 4, 6) else None


def normalise_language(text: str) -> str | None:
    """One of LANGUAGES for "EN", "zh-CN" or "en_US" (script and region are dropped), else None."""
    match = _LANGUAGE_TAG.fullmatch(text.strip())
    if not match:
        return None
    code = match[1].lower()
    return code if code in LANGUAGES else None
