"""Lyrics as they are sung."""

import pytest

from acestep_ray.decoder.mock.lyrics import parse, syllables


@pytest.mark.parametrize(
    ("line", "language", "count"),
    [
        ("Hello world", "en", 3),
        ("time like table", "en", 4),
        ("Don't stop", "en", 2),
        ("hmm", "en", 1),
        ("4 u", "en", 2),
        ("noche", "es", 2),
        ("corazón", "es", 3),
        ("我爱你", "zh", 3),
        ("사랑해요", "ko", 4),
        ("さくら", "ja", 3),
        ("Я люблю тебя", "ru", 5),
        ("σ'αγαπώ", "el", 3),
        ("أحبك", "ar", 2),
        ("🎵 ... !", "en", 0),
        ("", "en", 0),
    ],
)
def test_syllables_are_counted(line: str, language: str, count: int) -> None:
    assert len(syllables(line, language)) == count


def test_vowels_are_the_words_own() -> None:
    assert [s.vowel for s in syllables("la me ti go du", "en")] == ["a", "e", "i", "o", "u"]
    assert [s.consonant for s in syllables("a la", "en")] == [False, True]


def test_tags_make_sections() -> None:
    sections = parse(
        "[Intro]\n[Verse 1]\none two\n\nthree\n[Pre-Chorus]\nfour\n[Chorus] five\n[inst]\n"
        "[Bridge]\nsix (ooh)\n[Outro]",
        "en",
    )
    assert [(section.kind, len(section.lines)) for section in sections] == [
        ("intro", 0),
        ("verse", 2),
        ("verse", 1),
        ("chorus", 1),
        ("solo", 0),
        ("bridge", 1),
        ("outro", 0),
    ]


@pytest.mark.parametrize("lyrics", ["", "  \n", "...", "🎵"])
def test_nothing_to_sing_is_no_section(lyrics: str) -> None:
    assert parse(lyrics, "en") == ()


@pytest.mark.parametrize("lyrics", ["[Instrumental]", "[inst]", "[instrumental]\n\n"])
def test_an_instrumental_has_no_lines(lyrics: str) -> None:
    (section,) = parse(lyrics, "en")
    assert section.lines == ()


def test_long_lines_are_sung_in_pieces() -> None:
    (section,) = parse("la " * 40, "en")
    assert [len(line) for line in section.lines] == [13, 13, 14]


def test_twenty_thousand_characters_are_read() -> None:
    (section,) = parse("la " * 6600 + "[" * 200, "en")
    assert sum(map(len, section.lines)) == 6600
