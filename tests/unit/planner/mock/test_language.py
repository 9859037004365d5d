"""The language of lyrics, if it can be recognised."""

import pytest

from acestep_ray.planner.metadata import LANGUAGES
from acestep_ray.planner.mock.language import detect_language


@pytest.mark.parametrize(
    ("lyrics", "code"),
    [
        ("[Verse 1]\nI love you and the night is young", "en"),
        ("Te quiero, mi amor, y no sé por qué", "es"),
        ("Je t'aime et je ne sais pas pourquoi mon amour", "fr"),
        ("Ich liebe dich und die Nacht", "de"),
        ("Ti amo e non so perché il cuore", "it"),
        ("Eu não sei mais viver sem você", "pt"),
        ("Ik hou van jou en het is mijn hart", "nl"),
        ("Jag är inte min egen", "sv"),
        ("Jeg er ikke den du vil ha, og det er deg", "no"),
        ("Jeg er ikke den, og det er dig og mig", "da"),
        ("Kocham cię i nie wiem że jest", "pl"),
        ("Seni seviyorum ve bu aşk", "tr"),
        ("Anh yêu em và một tình yêu", "vi"),
        ("[Verse]\n春が来た 桜の花", "ja"),
        ("我爱你 你爱我", "zh"),
        ("我爱の你们大家都好在这里", "zh"),
        ("我鍾意你 佢唔知", "yue"),
        ("사랑해요 baby", "ko"),
        ("Я люблю тебя", "ru"),
        ("Я тебе кохаю і ти", "uk"),
        ("أحبك", "ar"),
        ("دوستت دارم پس", "fa"),
        ("אני אוהב", "he"),
        ("Σ'αγαπώ", "el"),
        ("ฉันรักเธอ", "th"),
        ("मैं तुमसे प्यार", "hi"),
    ],
)
def test_lyrics_tell_their_language(lyrics: str, code: str) -> None:
    assert detect_language(lyrics) == code
    assert code in LANGUAGES


@pytest.mark.parametrize(
    "lyrics", ["", " \n", "[Instrumental]", "la la la", "🎵🎵", "12 34", "Hello"]
)
def test_lyrics_that_do_not_tell(lyrics: str) -> None:
    assert detect_language(lyrics) is None


def test_a_section_tag_is_not_a_language() -> None:
    assert detect_language("[Verse: with the love of you and me]\n사랑") == "ko"
