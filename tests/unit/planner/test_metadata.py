"""A value in a usual form is accepted; any other is refused, never guessed."""

import pytest

from acestep_ray.planner.metadata import (
    KEYSCALES,
    LANGUAGES,
    TIME_SIGNATURES,
    normalise_key,
    normalise_language,
    normalise_time_signature,
)


def test_the_tables_are_the_models() -> None:
    assert len(set(LANGUAGES)) == len(LANGUAGES) == 51
    assert len(set(KEYSCALES)) == len(KEYSCALES) == 70
    assert {"F# minor", "F♯ minor", "Bb major", "B♭ major", "Cb minor", "E# major"} < {*KEYSCALES}
    assert {"no", "yue", "unknown"} < {*LANGUAGES}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("C Major", "C major"),
        ("f# minor", "F# minor"),
        ("F# MINOR", "F# minor"),
        ("F♯ min", "F♯ minor"),
        ("c#m", "C# minor"),
        ("Am", "A minor"),
        ("am", "A minor"),
        ("AM", "A major"),
        ("A major", "A major"),
        ("A", "A major"),
        ("C", "C major"),
        ("Bb", "Bb major"),
        ("bb", "Bb major"),
        ("b", "B major"),
        ("bm", "B minor"),
        ("b minor", "B minor"),
        ("Bbm", "Bb minor"),
        ("B♭", "B♭ major"),
        ("ab", "Ab major"),
        ("E flat major", "Eb major"),
        ("c-sharp minor", "C# minor"),
        ("Csharp", "C# major"),
        ("G:min", "G minor"),
        ("D_maj", "D major"),
        ("  e   minor\n", "E minor"),
        ("Cb minor", "Cb minor"),
        ("C-Dur", "C major"),
        ("a-moll", "A minor"),
        ("fis-Moll", "F# minor"),
        ("Es dur", "Eb major"),
        ("As-Dur", "Ab major"),
        ("F# moll", "F# minor"),
    ],
)
def test_a_key_in_any_usual_spelling(text: str, key: str) -> None:
    assert normalise_key(text) == key


@pytest.mark.parametrize(("text", "key"), [("B-Dur", "Bb major"), ("H-Dur", "B major")])
def test_german_mode_words_mean_german_notes(text: str, key: str) -> None:
    assert normalise_key(text) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "H",
        "H minor",
        "m",
        "minor",
        "C##",
        "Cbb",
        "C-",
        "C minor minor",
        "A b minor",
        "C major scale",
        "Cmaj7",
        "X major",
        "C\x00",
        "1",
        "none",
        "cs dur",
        "C" * 10_000,
    ],
)
def test_what_is_not_a_key_is_refused(text: str) -> None:
    assert normalise_key(text) is None


def test_every_key_of_the_model_is_taken_as_the_model_writes_it() -> None:
    for key in KEYSCALES:
        for text in (key, key.upper(), key.lower(), key.title(), key.replace(" ", "")):
            assert normalise_key(text) == key


@pytest.mark.parametrize(
    ("value", "beats"),
    [
        ("4/4", "4"),
        ("6/8", "6"),
        ("3/4", "3"),
        ("2/4", "2"),
        (" 4 / 4 ", "4"),
        ("4", "4"),
        (4, "4"),
        (4.0, "4"),
        ("4.0", "4"),
        (2, "2"),
        ("6", "6"),
    ],
)
def test_a_time_signature(value: str | float, beats: str) -> None:
    assert normalise_time_signature(value) == beats
    assert beats in TIME_SIGNATURES


@pytest.mark.parametrize(
    "value",
    [
        "",
        "5",
        "5/4",
        "2/2",
        "3/8",
        "12/8",
        "6/4",
        "4/",
        "/4",
        "4.5",
        "C",
        "４",
        "44",
        "-4",
        5,
        0,
        -4,
        4.5,
        True,
        float("nan"),
        float("inf"),
        10**400,
    ],
)
def test_what_is_not_a_time_signature_is_refused(value: str | float) -> None:
    assert normalise_time_signature(value) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("zh-CN", "zh"),
        ("en_US", "en"),
        ("EN", "en"),
        ("zh-Hant-TW", "zh"),
        ("yue-HK", "yue"),
        ("no", "no"),
        ("Unknown", "unknown"),
        (" pt-BR ", "pt"),
    ],
)
def test_a_language(text: str, code: str) -> None:
    assert normalise_language(text) == code


@pytest.mark.parametrize(
    "text",
    ["", "english", "xx", "e", "-en", "en-", "en--US", "en US", "zh-CN;q=0.9", "ｅn", "zhcn"],
)
def test_what_is_not_a_language_is_refused(text: str) -> None:
    assert normalise_language(text) is None
