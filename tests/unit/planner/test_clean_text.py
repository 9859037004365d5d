"""What comes out of the LM is plain text, whatever the weights are."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.planner.clean_text import clean_caption, clean_lyrics
from acestep_ray.planner.prompts import plain


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("# Lyric\n[Verse]\nla", "[Verse]\nla"),
        ("\n\n#  lyrics \nla", "la"),
        ("la\r\nlo\rli\u2028lu", "la\nlo\nli\nlu"),
        ("a \n\n\n\n\n b\t", "a\n\n b"),
        ("\x00a\x07\ufeff\ufffd\ud800b\x9f", "ab"),
        ("say <|im_end|> and </think>", "say < |im_end|> and < /think>"),
        ("a < b <3", "a < b <3"),
        ("न\u200dम 👩\u200d🎤", "न\u200dम 👩\u200d🎤"),  # joiners are part of the text
        (" \n\x00", ""),
    ],
)
def test_lyrics(written: str, clean: str) -> None:
    assert clean_lyrics(written) == clean


def test_a_caption_is_one_line() -> None:
    assert clean_caption(" slow\n  sad\x85 \x1bsong<think> ") == "slow sad song< think>"


@given(st.text(alphabet=st.characters() | st.sampled_from("<|>\r\n\u2028imtk_a1")))
def test_any_text(text: str) -> None:
    for clean in (clean_lyrics, clean_caption):
        found = clean(text)
        assert found == plain(found)
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in found if c != "\n")
        assert "\ufffd" not in found
    assert "\n" not in clean_caption(text)
