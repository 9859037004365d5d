"""Lyrics prepared for singing: sections, lines, syllables."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Vowel = Literal["a", "e", "i", "o", "u"]
Kind = Literal["intro", "verse", "chorus", "bridge", "solo", "outro"]

_BREATH = 16  # most syllables of a line
_TAG = re.compile(r"\[([^\]\n]*)\]")
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("pre-chorus|prechorus|pre chorus|build", "verse"),
    ("chorus|hook|refrain|drop", "chorus"),
    ("bridge|breakdown", "bridge"),
    ("intro", "intro"),
    ("outro|end|fade", "outro"),
    ("inst|solo|interlude|break", "solo"),
)
_FIVE: tuple[Vowel, ...] = ("a", "e", "i", "o", "u")
_VOWELS: dict[str, Vowel] = {
    letter: vowel
    for vowel, letters in zip(_FIVE, ("aаяα", "eеэєε", "iyиыіїηιυ", "oоёοω", "uуюў"), strict=True)
    for letter in letters
}
# Scripts in which one character is one syllable: kana, Han, Hangul.
_SYLLABIC = re.compile(
    "[\u3041-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class Syllable:
    """What is sung on one note."""

    vowel: Vowel
    consonant: bool
    """Whether it begins with a consonant."""


@dataclass(frozen=True)
class Section:
    """A tag such as ``[chorus]`` and the lines under it; no lines if it is instrumental."""

    kind: Kind
    lines: tuple[tuple[Syllable, ...], ...]


def parse(lyrics: str, language: str) -> tuple[Section, ...]:
    """The sections of ``lyrics``; text before the first tag is a verse.

    ``[Instrumental]`` alone gives one section without lines; empty lyrics give none.
    """
    sections: list[Section] = []
    kind: Kind | None = None
    lines: list[tuple[Syllable, ...]] = []
    for row in lyrics.splitlines():
        tags = _TAG.findall(row)
        if tags:
            if kind is not None or lines:
                sections.append(Section(kind or "verse", tuple(lines)))
            kind, lines = _kind(tags[0]), []
        lines += _breaths(syllables(_TAG.sub(" ", row), language))
    if kind is not None or lines:
        sections.append(Section(kind or "verse", tuple(lines)))
    return tuple(sections)


def rows(lyrics: str, language: str) -> tuple[tuple[str, int], ...]:
    """The lines of ``lyrics`` that are not blank, tags too, each with the number of pieces in which
    it is sung."""
    found = [(row.strip(), _TAG.sub(" ", row)) for row in lyrics.splitlines()]
    return tuple((row, len(_breaths(syllables(words, language)))) for row, words in found if row)


def syllables(line: str, language: str) -> tuple[Syllable, ...]:
    """The syllables of a line, accurate enough to sing it. English has silent e's."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", line.casefold()).replace("'", ""))
    return tuple(syllable for word in words for syllable in _word(word, language == "en"))


def _breaths(line: tuple[Syllable, ...]) -> list[tuple[Syllable, ...]]:
    """A line in pieces of about equal length, each short enough for one breath."""
    pieces = -(-len(line) // _BREATH)
    cuts = [len(line) * piece // pieces for piece in range(pieces + 1)] if pieces else []
    return [line[start:end] for start, end in pairwise(cuts)]


def _kind(tag: str) -> Kind:
    tag = tag.casefold()
    return next((kind for words, kind in _KINDS if re.search(words, tag)), "verse")


def _any_vowel(text: str) -> Vowel:
    """A vowel for a script that does not show it: always the same one for the same text."""
    return _FIVE[sum(map(ord, text)) % 5]


def _word(word: str, silent_e: bool) -> list[Syllable]:
    found: list[Syllable] = []
    for part in re.split(f"({_SYLLABIC.pattern}|\\d)", word):
        if _SYLLABIC.fullmatch(part) or part.isdigit():
            found.append(Syllable(_any_vowel(part), True))
        elif part:
            found.extend(_spelled(part, silent_e))
    return found


def _spelled(part: str, silent_e: bool) -> list[Syllable]:
    """A word in an alphabet: one syllable for each group of vowels."""
    base = [unicodedata.normalize("NFD", letter)[0] for letter in part]
    if not any(letter in _VOWELS for letter in base):
        # "hmm"; or a script that writes no vowels: about two letters per syllable.
        letters = sum(unicodedata.category(letter) == "Lo" for letter in part)
        return [Syllable(_any_vowel(part), True)] * max(1, letters // 2)
    found: list[Syllable] = []
    inside, consonant = False, False
    for at, letter in enumerate(base):
        vowel = _VOWELS.get(letter)
        if vowel is None or (letter == "y" and at == 0):
            inside, consonant = False, True
            continue
        last = silent_e and found and at == len(base) - 1 and base[at - 1 :] != ["l", "e"]
        if not inside and not (last and letter == "e"):
            found.append(Syllable(vowel, consonant))
            consonant = False
        inside = True
    return found or [Syllable(_any_vowel(part), True)]
