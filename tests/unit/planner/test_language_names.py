"""A description may name the language of the song."""

import pytest

from acestep_ray.planner.language_names import (
    _ALONE,
    _ENGLISH,
    _OWN,
    language_of_name,
    named_language,
)
from acestep_ray.planner.metadata import LANGUAGES


@pytest.mark.parametrize(
    ("description", "code"),
    [
        ("a sad song in French", "fr"),
        ("Japanese city pop with German lyrics", "de"),
        ("upbeat pop with Spanish vocals", "es"),
        ("a Korean-language ballad", "ko"),
        ("sung in Latin by monks", "la"),
        ("ein Lied auf Deutsch", "de"),
        ("una canción triste en español", "es"),
        ("一首中文的歌", "zh"),
        ("日本語の歌", "ja"),
        ("粤语老歌", "yue"),
        ("two voices, in Italian and in English", "it"),
    ],
)
def test_a_language_that_is_asked_for(description: str, code: str) -> None:
    assert named_language(description) == code


@pytest.mark.parametrize(
    "description",
    [
        "",
        "French horn and English horn",
        "Spanish guitar, slow",
        "Latin pop",
        "a waltz in Polish style",
        "polish the sound",
        "Turkish march for piano",
    ],
)
def test_a_name_that_asks_for_none(description: str) -> None:
    assert named_language(description) == ""


def test_every_code_is_one_of_the_models() -> None:
    assert {*_ENGLISH.values(), *_OWN.values()} <= set(LANGUAGES)
    assert {*LANGUAGES} - {*_ENGLISH.values()} == {"unknown"}


@pytest.mark.parametrize(
    ("name", "code"),
    [("English", "en"), (" french ", "fr"), ("Deutsch", "de"), ("한국어", "ko"), ("Latin", "la"),
     ("English (US)", "en"), ("Haitian Creole", "ht"), ("en", ""), ("", ""), ("klingon", ""),
     ("a song in French", "")],
)  # fmt: skip
def test_a_language_chosen_by_its_name(name: str, code: str) -> None:
    assert language_of_name(name) == code


def test_every_name_alone_is_a_language_of_the_model() -> None:
    assert set(_ALONE.values()) <= set(LANGUAGES)
