"""The mock's texts of songs: metadata that follow the words, and verses in a few languages.

Each is a pure function of the request's kind, texts and seed (at temperature 0, not of the seed).
"""

import re
from dataclasses import dataclass

import numpy as np

from acestep_ray.planner.clean_text import clean_lyrics
from acestep_ray.planner.duration import estimate_seconds
from acestep_ray.planner.grammar import Given
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.mock.captions import arranged_caption
from acestep_ray.planner.mock.language import detect_language
from acestep_ray.planner.mock.streams import random_stream
from acestep_ray.planner.mock.verses import LINES
from acestep_ray.planner.mock.words import bpm_of, keyscale_of, pick, time_signature_of
from acestep_ray.planner.protocol import Metadata, WriteRequest
from acestep_ray.planner.song_text import has_lyrics_to_write
from acestep_ray.settings import Lyrics

_WORDLESS = re.compile(
    r"\binstrumental\b|\b(?:no|without) (?:vocals?|voices?|lyrics|words|singing)\b", re.IGNORECASE
)
_TAG = re.compile(r"^\s*\[[^\]]+\]\s*$", re.MULTILINE)
_SUBJECT_WORDS = 7


@dataclass(frozen=True)
class MockText:
    """What the mock writes, before it is made a SongText. ``lyrics`` None: it wrote none."""

    metadata: Metadata
    lyrics: str | None

    @property
    def tokens(self) -> int:
        """How many tokens a model would write for it, at four characters each."""
        text = f"{self.metadata.caption or ''}{self.lyrics or ''}"
        return max(len(text) // 4, 1)


def write_text(
    request: WriteRequest, given: Given, settings: Lyrics, *, default: float, longest: float
) -> MockText:
    """The text for a request; ``given`` are the fields that are known. ``default`` is the length of
    a song without words, ``longest`` the longest that may be chosen, in seconds."""
    words = {"sample": request.query, "format": request.caption, "understand": ""}[request.kind]
    sung = has_lyrics_to_write(request)
    if request.kind == "sample" and _WORDLESS.search(request.query):
        sung = False  # as a model would read the description
    language = given.language or detect_language(request.lyrics or request.query) or "en"
    lyrics = _lyrics(request, language) if sung else None
    bpm = given.bpm or bpm_of(words, _stream(request, "bpm"))
    keyscale = given.keyscale or keyscale_of(words, _stream(request, "keyscale"))
    timesignature = given.timesignature or time_signature_of(words)
    caption = arranged_caption(
        words,
        _stream(request, "caption"),
        sung=sung,
        bpm=bpm,
        keyscale=keyscale,
        timesignature=timesignature,
    )
    metadata = Metadata(
        bpm=bpm,
        caption=caption,
        duration=given.duration or _seconds(lyrics, settings, default, longest),
        keyscale=keyscale,
        language=language,
        timesignature=timesignature,
    )
    return MockText(metadata, lyrics)


def _seconds(lyrics: str | None, settings: Lyrics, default: float, longest: float) -> int:
    low, high = DURATION_RANGE
    seconds = default if lyrics is None else estimate_seconds(lyrics, settings)
    return int(max(min(seconds, longest, high), low))


def _lyrics(request: WriteRequest, language: str) -> str:
    if request.kind == "format":
        return _with_tags(clean_lyrics(request.lyrics))
    return _song(language, _subject(request.query, language), _stream(request, "lyrics"))


def _with_tags(lyrics: str) -> str:
    """The user's words; if no section has a tag, each gets one."""
    if _TAG.search(lyrics):
        return lyrics
    verses = 0
    sections = []
    for number, section in enumerate(lyrics.split("\n\n")):
        if number % 2:
            sections.append(f"[Chorus]\n{section}")
        else:
            verses += 1
            sections.append(f"[Verse {verses}]\n{section}")
    return "\n\n".join(sections)


def _song(language: str, subject: str, rng: np.random.Generator) -> str:
    """Two verses, and a chorus that begins with the subject, if there is one."""
    lines = LINES.get(language, LINES["en"])
    verses = _some(lines.verse, 6, rng)
    chorus = _some(lines.chorus, 3, rng)
    if subject:
        chorus[0] = subject
    refrain = "\n".join(chorus)
    first, second = "\n".join(verses[:3]), "\n".join(verses[3:])
    return (
        f"[Verse 1]\n{first}\n\n[Chorus]\n{refrain}\n\n[Verse 2]\n{second}\n\n[Chorus]\n{refrain}"
    )


def _some(lines: tuple[str, ...], count: int, rng: np.random.Generator) -> list[str]:
    """``count`` different lines in a drawn order."""
    left = list(lines)
    return [left.pop(left.index(pick(left, rng))) for _ in range(count)]


def _subject(query: str, language: str) -> str:
    """The beginning of the query, if it is in the language of the song."""
    if (detect_language(query) or "en") != language:
        return ""
    text = " ".join(clean_lyrics(query).split()[:_SUBJECT_WORDS]).rstrip(" .,;:")
    return text[:1].upper() + text[1:80]


def _stream(request: WriteRequest, part: str) -> np.random.Generator:
    seed = None if request.temperature == 0 else request.seed
    texts = [request.query, request.instrumental, request.caption, request.lyrics]
    return random_stream([part, request.kind, *texts, list(request.codes), seed])
