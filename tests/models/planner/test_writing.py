"""A song's text from a description, a user's text or codes: legal with any weights."""

from typing import Any

import pytest
import torch

from acestep_ray.planner.plan_song import with_text, write_request
from acestep_ray.planner.prepared_request import prepare_request
from acestep_ray.planner.prepared_text import prepare_text
from acestep_ray.planner.prompts import song_prompt
from acestep_ray.planner.protocol import (
    Metadata,
    PlannerError,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.planner.song_text import song_text
from acestep_ray.planner.tokens import END_OF_TEXT, IM_END
from acestep_ray.planner.transformers import phases
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.rows import Rows
from acestep_ray.planner.transformers.writing import TextWriter
from acestep_ray.settings import Lm, Lyrics
from tests.models.planner.texts import KINDS, any_text, check_legal, same, text_request


def write(writer: TextWriter, asked: WriteRequest) -> SongText:
    return same(writer.write(asked, lambda *_: None))


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_texts_are_legal(writer: TextWriter, kind: str) -> None:
    captions, lyrics = set(), set()
    for number in range(200):
        asked = any_text(kind, number)
        text = write(writer, asked)
        check_legal(asked, text)
        captions.add(text.caption)
        lyrics.add(text.lyrics)
    assert len(captions) > 100
    assert len(lyrics) > 50


def test_a_sample_is_written_from_its_query(writer: TextWriter) -> None:
    asked = text_request(query="a song about rain", bpm=77, vocal_language="de", seed=5)
    text = write(writer, asked)
    assert (text.metadata.bpm, text.metadata.language) == (77, "de")
    assert text == write(writer, asked)
    for other in ({"query": "a song about sun"}, {"seed": 6}):
        assert write(writer, asked.model_copy(update=other)) != text
    for unused in ({"caption": "x"}, {"lyrics": "x"}, {"codes": (1,)}):
        changed = write(writer, asked.model_copy(update={**unused, "duration": 30.0}))
        assert changed == write(writer, asked.model_copy(update={"duration": 30.0}))


def test_a_text_is_formatted_from_caption_and_lyrics(writer: TextWriter) -> None:
    asked = text_request("format", caption="sad song", lyrics="la la")
    text = write(writer, asked)
    for other in ({"caption": "glad song"}, {"lyrics": "la la la"}):
        assert write(writer, asked.model_copy(update=other)) != text


def test_codes_are_understood_from_the_codes(writer: TextWriter) -> None:
    asked = text_request("understand", codes=(5, 6) * 50)
    text = write(writer, asked)
    assert text.metadata.duration == 20
    assert write(writer, asked.model_copy(update={"codes": (5, 7) * 50})) != text


def test_the_language_that_a_query_names_is_written(writer: TextWriter) -> None:
    text = write(writer, text_request(query="a love song in French"))
    assert text.metadata.language == "fr"


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
) -> TextWriter:
    Scripted.script = [*lm.tokenizer.encode(lyrics), end]
    monkeypatch.setattr("acestep_ray.planner.transformers.language_model.Rows", Scripted)
    return TextWriter(lm, Lm(caption_tokens=8, lyrics_tokens=64), Lyrics())


@pytest.mark.parametrize("end", [IM_END, END_OF_TEXT])
def test_lyrics_end_where_the_model_ends_them(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, end: int
) -> None:
    lyrics = "# Lyric\n[Verse]\nIt rains, \n月光\r\n\x07\n\n\n<|im_start|>\n\n"
    writer = scripted(monkeypatch, lm, lyrics.replace("<|", "< |"), end)
    text = write(writer, text_request("format", caption="x", lyrics="y"))
    assert text.lyrics == "[Verse]\nIt rains,\n月光\n\n< |im_start|>"
    assert Scripted.script == []


def test_lyrics_end_at_their_limit_and_never_inside_a_character(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = scripted(monkeypatch, lm, "la " * 31)
    first, *_ = lm.tokenizer.encode("🫎")  # several tokens
    Scripted.script[-1] = first
    Scripted.script += [first] * 100
    text = write(writer, text_request(query="x"))
    assert text.lyrics == " ".join(["la"] * 31)


@pytest.mark.parametrize(
    "asked",
    [
        text_request(query="drums", instrumental=True),
        text_request("format", caption="drums"),
        text_request("format", caption="drums", lyrics="[Instrumental]"),
    ],
)
def test_a_song_without_words_gets_none(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, asked: WriteRequest
) -> None:
    writer = scripted(monkeypatch, lm, "La")
    assert write(writer, asked).lyrics == "[Instrumental]"
    assert len(Scripted.script) == 2  # the LM was not asked


def test_a_model_that_writes_no_lyrics(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write(scripted(monkeypatch, lm, ""), text_request(query="x")).lyrics == "[Instrumental]"
    kept = text_request("format", caption="x", lyrics=" my\x00 words ")
    assert write(scripted(monkeypatch, lm, "\n"), kept).lyrics == "my words"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("sample", {"query": "la " * 9000}),
        ("format", {"caption": "x", "lyrics": "la " * 9000}),
        ("understand", {"codes": (1,) * 9000}),
    ],
)
def test_a_text_that_does_not_fit_is_refused(
    writer: TextWriter, kind: str, fields: dict[str, Any]
) -> None:
    asked = text_request(kind, **fields)
    message = r"a prompt of 9\d+ tokens cannot fit .* of 8192 tokens; it may take 75\d\d"
    with pytest.raises(PlannerError, match=message):
        write(writer, asked)


def test_lyrics_have_the_room_that_is_left(lm: LanguageModel) -> None:
    def room(codes: int, **settings: Any) -> int:
        asked = text_request("understand", codes=(1,) * codes)
        return prepare_text(asked, lm.tokenizer, Lm(**settings)).lyrics_tokens

    assert room(3000) == 2048
    assert room(3000, context=4096) < 512
    assert room(100, context=4096) == 1024
    assert room(100, lyrics_tokens=100) == 100
    with pytest.raises(PlannerError, match="of 2048 tokens"):
        room(3000, context=2048)


def test_a_song_that_follows_its_text_fits_the_context(lm: LanguageModel) -> None:
    asked = text_request(query="x")
    assert prepare_text(asked, lm.tokenizer, Lm()).longest == 600
    assert 60 < prepare_text(asked, lm.tokenizer, Lm(context=4096)).longest < 600


@pytest.mark.parametrize(
    "fields",
    [
        {"duration": 500, "writing": {"kind": "sample", "query": "x"}},
        {"duration": 500, "writing": {"kind": "format"}, "lyrics": "na"},
        {"writing": {"kind": "format"}, "lyrics": "na na\n" * 300},
        {"infer_type": "dit", "duration": 500, "writing": {"kind": "sample", "query": "x"}},
    ],
)
@pytest.mark.parametrize("words", ["longest", "none"])
def test_what_was_accepted_can_be_planned_with_the_longest_text(
    lm: LanguageModel, fields: dict[str, Any], words: str
) -> None:
    """Else the job would fail after the language model has worked."""
    context = 3500
    asked = PlanRequest.model_validate(
        {"job_id": "", "attempt": 1, "caption": "x", "lyrics": ""} | fields
    )
    request = write_request(asked)
    prepared = prepare_text(request, lm.tokenizer, Lm(context=context))
    metadata = Metadata(
        bpm=90,
        caption=("la " * prepared.caption_tokens).strip(),
        duration=int(asked.duration or prepared.longest),
        keyscale="C major",
        language="en",
        timesignature="4",
    )
    ids = lm.tokenizer.encode(" la" * prepared.lyrics_tokens if words == "longest" else "")
    lyrics = prepared.lyrics(lm.tokenizer, ids, metadata)
    text = song_text(
        request, metadata, lyrics, Lyrics(), longest=prepared.longest, model="lm", elapsed=0.1
    )
    if words == "longest":
        assert len(lm.tokenizer.encode(text.lyrics)) >= prepared.lyrics_tokens - 1 >= 127
    prepare_request(with_text(asked, text), lm.tokenizer, context)


def test_lyrics_that_are_read_as_more_tokens_than_were_written_are_cut(lm: LanguageModel) -> None:
    request = text_request(query="x", codes_after=2400)
    prepared = prepare_text(request, lm.tokenizer, Lm(context=3500))
    metadata = Metadata(
        bpm=90, caption="x", duration=480, keyscale="C major", language="en", timesignature="4"
    )
    ids = lm.tokenizer.encode(" la" * prepared.song_tokens * 2)
    words = prepared.lyrics(lm.tokenizer, ids, metadata)
    assert words.startswith("la la")
    length = len(lm.tokenizer.encode(song_prompt("x", words)))
    assert prepared.song_tokens - 2 <= length <= prepared.song_tokens
    few = lm.tokenizer.encode("la la")
    assert prepared.lyrics(lm.tokenizer, few, metadata) == "la la"


def test_progress_counts_tokens(writer: TextWriter) -> None:
    steps: list[tuple[str, int, int]] = []

    def progress(stage: str, step: int, total: int) -> None:
        steps.append((stage, step, total))

    text = writer.write(text_request(query="x"), progress)
    assert text.elapsed > 0
    total = steps[0][2]
    assert steps[0] == ("writing", 0, total) and steps[-1] == ("writing", total, total)
    assert steps == sorted(steps)
    assert 40 < len(steps) < total
