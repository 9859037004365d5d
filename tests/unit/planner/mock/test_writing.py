"""The mock writes texts that a real model could have written, and always the same ones."""

import asyncio
import unicodedata
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from acestep_ray.planner.grammar import Given
from acestep_ray.planner.mock import MockPlanner
from acestep_ray.planner.mock.language import detect_language
from acestep_ray.planner.mock.verses import LINES
from acestep_ray.planner.protocol import PlannerError, PlanProgress, SongText, WriteRequest
from acestep_ray.settings import Lyrics, Mock

KINDS = ("sample", "format", "understand")


def request(kind: str = "sample", **values: Any) -> WriteRequest:
    return WriteRequest.model_validate({"kind": kind, **values})


def planner(token_seconds: float = 0.0) -> MockPlanner:
    return MockPlanner(Mock(token_seconds=token_seconds), Lyrics(), 60.0)


async def events(asked: WriteRequest, **values: float) -> list[PlanProgress | SongText]:
    return [event async for event in planner(**values).write(asked)]


async def write(asked: WriteRequest) -> SongText:
    last = (await events(asked))[-1]
    assert isinstance(last, SongText)
    return last


def check_legal(text: SongText) -> None:
    Given.all_of(text.metadata)  # raises for an illegal value
    assert text.metadata.caption == text.caption
    assert "\n" not in text.caption
    for part in (text.caption, text.lyrics):
        assert "<|" not in part and "\N{REPLACEMENT CHARACTER}" not in part
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in part if c != "\n")
    assert text.lyrics
    assert text.mock


@given(
    st.sampled_from(KINDS),
    st.text(),
    st.text(),
    st.booleans(),
    st.sampled_from(("", "en", "no", "unknown")),
    st.integers(0, 2**32 - 1),
)
@hypothesis_settings(max_examples=hypothesis_settings().max_examples * 2)
async def test_any_words_give_a_legal_text(
    kind: str, words: str, lyrics: str, instrumental: bool, language: str, seed: int
) -> None:
    made = await write(
        request(
            kind,
            query=words,
            caption=words,
            lyrics=lyrics,
            codes=(seed % 64_000,) * 70,
            instrumental=instrumental,
            vocal_language=language,
            seed=seed,
        )
    )
    check_legal(made)
    assert language in ("", made.metadata.language)
    if instrumental and kind == "sample":
        assert made.lyrics == "[Instrumental]"


async def test_a_sample_follows_its_description() -> None:
    made = await write(request(query="a slow sad waltz about rain, 84 bpm, in D minor"))
    assert made.caption.startswith("a slow sad waltz about rain")
    assert (made.metadata.bpm, made.metadata.keyscale) == (84, "D minor")
    assert made.metadata.timesignature == "3"
    assert made.metadata.language == "en"
    assert "A slow sad waltz about rain" in made.lyrics
    assert made.lyrics.startswith("[Verse 1]\n") and "[Chorus]" in made.lyrics
    assert made.metadata.duration >= 30


@pytest.mark.parametrize("query", ["instrumental jazz", "a piano piece without vocals"])
async def test_a_description_of_a_song_without_words_has_none(query: str) -> None:
    assert (await write(request(query=query))).lyrics == "[Instrumental]"


@pytest.mark.parametrize("language", sorted(LINES))
async def test_lyrics_are_in_the_language_that_is_given(language: str) -> None:
    made = await write(request(query="a quiet evening", vocal_language=language))
    assert made.metadata.language == language
    assert detect_language(made.lyrics) == language


async def test_the_language_is_that_of_the_query_or_the_one_that_it_names() -> None:
    own = await write(request(query="ein Lied über die Liebe und das Meer"))
    assert own.metadata.language == detect_language(own.lyrics) == "de"
    named = await write(request(query="a sad song in French"))
    assert named.metadata.language == detect_language(named.lyrics) == "fr"
    other = await write(request(query="a love song", vocal_language="sw"))
    assert other.metadata.language == "sw"
    assert detect_language(other.lyrics) == "en"  # there are no lines in Swahili


async def test_formatted_lyrics_keep_their_words_and_get_sections() -> None:
    made = await write(request("format", caption="pop", lyrics="one\ntwo\n\n\n\nthree\r\nfour"))
    assert made.lyrics == "[Verse 1]\none\ntwo\n\n[Chorus]\nthree\nfour"
    assert made.caption.startswith("pop; ")
    tagged = await write(request("format", caption="pop", lyrics="[Bridge]\none\n\ntwo"))
    assert tagged.lyrics == "[Bridge]\none\n\ntwo"
    assert (await write(request("format", caption="pop"))).lyrics == "[Instrumental]"


async def test_codes_have_a_text_of_their_length() -> None:
    made = await write(request("understand", codes=range(500)))
    assert made.metadata.duration == 100
    assert "[Verse 1]" in made.lyrics
    assert made.caption
    assert (await write(request("understand", codes=(1, 2)))).metadata.duration == 10


async def test_what_the_user_gave_is_kept() -> None:
    values: dict[str, Any] = {
        "bpm": 61,
        "key_scale": "F# minor",
        "time_signature": "6",
        "duration": 33.7,
    }
    made = (await write(request(query="x", vocal_language="no", **values))).metadata
    assert (made.bpm, made.keyscale, made.timesignature) == (61, "F# minor", "6")
    assert (made.duration, made.language) == (33, "no")
    short = await write(request(query="x", max_duration=20))
    assert short.metadata.duration <= 20


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_request_gives_the_same_text_and_its_seed_matters(kind: str) -> None:
    asked = request(kind, query="q", caption="c", lyrics="l", codes=(1,) * 60, seed=3)

    async def text(**values: Any) -> SongText:
        made = await write(asked.model_copy(update=values))
        return made.model_copy(update={"elapsed": 0.0})

    assert await text() == await text()
    assert len({(await text(seed=seed)).caption for seed in range(8)}) > 1
    assert await text(temperature=0) == await text(temperature=0, seed=4)


async def test_progress_takes_its_time() -> None:
    asked = request(query="a song")
    seen = await events(asked, token_seconds=0.005)
    made = seen.pop()
    assert isinstance(made, SongText)
    steps = [(e.stage, e.step, e.total) for e in seen if isinstance(e, PlanProgress)]
    total = steps[0][2]
    assert made.elapsed >= total * 0.005
    assert steps[0] == ("writing", 0, total) and steps[-1] == ("writing", total, total)
    assert len(steps) >= 3 and steps == sorted(steps)


async def test_closing_stops_at_once() -> None:
    async with asyncio.timeout(10):
        async with aclosing(planner(token_seconds=1.0).write(request(query="x"))) as stream:
            await anext(stream)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "huge"}, r"'huge'.*acestep-5Hz-lm-0\.6B"),
        ({"key_scale": "H minor"}, "The text cannot be written: keyscale 'H minor'"),
        ({"vocal_language": "xx"}, "The text cannot be written: language 'xx'"),
        ({"codes": (64_000,)}, "The text cannot be written: codes"),
        ({"bpm": 1}, "The text cannot be written: bpm"),
    ],
)
async def test_an_illegal_value_is_an_error_and_not_a_text(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(PlannerError, match=message):
        await write(request().model_copy(update=values))
