"""A request becomes a song's text, and a user's text is put in order."""

from typing import Any

import pytest
import torch

from acestep_ray.planner.grammar import Given
from acestep_ray.planner.protocol import PlannerError
from acestep_ray.planner.sampling import Sampling
from acestep_ray.planner.tokens import END_OF_TEXT, IM_END
from acestep_ray.planner.transformers import phases
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.rows import Rows
from acestep_ray.planner.transformers.writing import Song, format_song, inspire

SHORT: dict[str, Any] = {"caption_tokens": 8, "lyrics_tokens": 12}
SAMPLING = Sampling(seed=5, temperature=0.85)


def test_inspire(lm: LanguageModel) -> None:
    given = Given(bpm=77, language="de")
    song = inspire(lm, "a song about rain", SAMPLING, given=given, **SHORT)
    assert song.metadata.bpm == 77
    assert song.metadata.language == "de"
    assert song.caption == song.metadata.caption
    assert song.lyrics
    assert "<|" not in song.lyrics
    assert song == inspire(lm, "a song about rain", SAMPLING, given=given, **SHORT)
    assert song != inspire(lm, "a song about sun", SAMPLING, given=given, **SHORT)


def test_format(lm: LanguageModel) -> None:
    song = format_song(lm, "sad song", "la la", SAMPLING, **SHORT)
    assert song.lyrics
    assert song != format_song(lm, "sad song", "la la la", SAMPLING, **SHORT)


class Scripted(Rows):
    """Rows whose next tokens are known: as if the weights had learned them."""

    script: list[int]

    def logits(self, tokens: slice | torch.Tensor) -> torch.Tensor:
        found = super().logits(tokens).clone()
        if isinstance(tokens, torch.Tensor) and torch.equal(tokens.cpu(), phases._LYRICS_TOKENS):
            found[0, tokens == self.script.pop(0)] = 1e9
        return found


def scripted(
    monkeypatch: pytest.MonkeyPatch, lm: LanguageModel, lyrics: str, end: int = IM_END
) -> None:
    Scripted.script = [*lm.tokenizer.encode(lyrics), end]
    monkeypatch.setattr("acestep_ray.planner.transformers.language_model.Rows", Scripted)


@pytest.mark.parametrize("end", [IM_END, END_OF_TEXT])
def test_lyrics_end_where_the_model_ends_them(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, end: int
) -> None:
    scripted(monkeypatch, lm, "# Lyric\n[Verse]\nIt rains,\n月光\n\n", end)
    song = format_song(lm, "x", "y", SAMPLING, caption_tokens=8)
    assert song.lyrics == "[Verse]\nIt rains,\n月光"
    assert Scripted.script == []


def test_an_instrumental_without_lyrics_says_so(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, lm, "\n")
    assert (
        inspire(lm, "drums", SAMPLING, caption_tokens=8, instrumental=True).lyrics
        == "[Instrumental]"
    )
    scripted(monkeypatch, lm, "")
    assert inspire(lm, "drums", SAMPLING, caption_tokens=8).lyrics == ""
    scripted(monkeypatch, lm, "La")
    song: Song = inspire(lm, "drums", SAMPLING, caption_tokens=8, instrumental=True)
    assert song.lyrics == "La"


def test_a_text_that_does_not_fit_is_refused(lm: LanguageModel) -> None:
    with pytest.raises(PlannerError, match=r"The text takes \d+ tokens, but .* room for \d+\."):
        format_song(lm, "x", "la " * 8000, SAMPLING)
