"""POST /v1/chat/completions: what the fields and the message of a request mean."""

import pytest

from acestep_ray.api.upstream.chat_request import looks_like_lyrics
from tests.unit.api.harness import ApiHarness, problem_of
from tests.unit.api.upstream.chats import (
    chat,
    complete,
    spec_of,
)

TAGGED = "<prompt>calm folk</prompt>\n<lyrics>[Verse]\nThe sea\n</lyrics>"
KEY = "secret-key"


async def test_seeds(api: ApiHarness) -> None:
    spec = await spec_of(api, chat(TAGGED, seed="42,123", batch_size=2))
    assert spec.decode.seeds == (42, 123)
    drawn = [(await spec_of(api, chat(TAGGED, seed=None))).decode.seeds for _ in range(2)]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("text", "fields", "caption", "lyrics"),
    [
        (TAGGED, {}, "calm folk", "[Verse]\nThe sea"),
        ("<PROMPT>jazz</PROMPT>", {}, "jazz", ""),
        ("<lyrics>la la</lyrics>", {}, "", "la la"),
        ("jazz", {"lyrics": "la la"}, "jazz", "la la"),
        ("[Chorus] la la", {}, "", "[Chorus] la la"),
        ("one\ntwo\nthree\nfour", {}, "", "one\ntwo\nthree\nfour"),
        (TAGGED, {"lyrics": "mine"}, "calm folk", "mine"),
        (TAGGED, {"prompt": "mine"}, "mine", "[Verse]\nThe sea"),
        ("<prompt>jazz</prompt>", {"audio_config": {"instrumental": True}}, "jazz", "[inst]"),
        (
            [{"type": "text", "text": "<prompt>a"}, {"type": "text", "text": "b</prompt>"}],
            {},
            "a\nb",
            "",
        ),
    ],
)
async def test_what_a_text_means(
    api: ApiHarness, text: object, fields: dict[str, object], caption: str, lyrics: str
) -> None:
    song = (await spec_of(api, chat(text, **fields))).decode
    assert (song.caption, song.lyrics) == (caption, lyrics)


@pytest.mark.parametrize(
    ("text", "fields", "query", "unused"),
    [
        ("rock song", {"caption": "jazz"}, "", "prompt: caption"),
        ("rock song", {"tags": "jazz"}, "", "prompt: tags"),
        ("rock song", {"metas": {"prompt": "jazz"}}, "", "prompt: metas.prompt"),
        ("<prompt>rock song</prompt>", {"prompt": "jazz"}, "", "prompt: prompt"),
        ("<lyrics>la</lyrics>", {"lyrics": "mine", "prompt": "jazz"}, "", "lyrics: lyrics"),
        ("rock song", {"lyrics": "mine", "prompt": "jazz"}, "", "prompt: prompt"),
        ("rock song", {"description": "jazz"}, "jazz", "description: description"),
        ("rock song", {"sampleQuery": "jazz"}, "jazz", "description: sampleQuery"),
        ("jazz", {"caption": "jazz"}, "", None),
        ("jazz", {"caption": "undefined", "desc": ""}, "jazz", None),
        ("jazz", {"sample_mode": "yes"}, "jazz", None),
    ],
)
async def test_fields_that_are_sent_win_over_the_message(
    api: ApiHarness,
    text: str,
    fields: dict[str, object],
    query: str,
    unused: str | None,
) -> None:
    """What is not used of the message is named in a warning."""
    answer = await complete(api, chat(text, **fields))
    spec = await api.stored(answer.json()["job_id"])
    asked = spec.plan.writing.query if spec.plan and spec.plan.writing else ""
    assert (spec.decode.caption, asked) == ("jazz", query)
    what, _, field = (unused or "").partition(": ")
    expected = [f"The message is not used as {what}: {field} came too."] if unused else []
    assert answer.json()["warnings"] == expected == list(spec.warnings)


async def test_other_text_describes_the_song(api: ApiHarness) -> None:
    """It is what sample_query is in POST /release_task."""
    answers = [
        await complete(api, chat("a calm song about the sea")),
        await api.http.post("/release_task", json={"sample_query": "a calm song about the sea"}),
    ]
    ids = [answers[0].json()["job_id"], answers[1].json()["data"]["task_id"]]
    chatted, released = [await api.stored(job_id) for job_id in ids]
    assert chatted.plan == released.plan
    assert chatted.decode.caption == released.decode.caption
    assert chatted.decode.lyrics == released.decode.lyrics


@pytest.mark.parametrize(
    ("text", "lyrics"),
    [
        ("a calm song", False),
        ("one\ntwo\nthree", False),
        ("one\n\ntwo\nthree\n \nfour", True),
        ("\n".join(["a long line of a description that goes on and on and on and on"] * 4), False),
        ("a calm song with an [intro] of piano", False),
        ("la la\n\n  [BRIDGE - soft]\nla", True),
        ("", False),
    ],
)
def test_what_looks_like_lyrics(text: str, lyrics: bool) -> None:
    assert looks_like_lyrics(text) is lyrics


@pytest.mark.parametrize("word", [True, "true", "Y"])
async def test_a_song_that_the_language_model_invents(api: ApiHarness, word: object) -> None:
    assert (await spec_of(api, chat("", sample_mode=word))).from_description


@pytest.mark.parametrize("word", [True, "yes", "t"])
async def test_words_for_instrumental(api: ApiHarness, word: object) -> None:
    song = (await spec_of(api, chat("<prompt>jazz</prompt>", instrumental=word))).decode
    assert song.lyrics == "[inst]"


async def test_the_last_message_of_the_user_counts(api: ApiHarness) -> None:
    messages = [
        {"role": "system", "content": "<prompt>no</prompt>"},
        {"role": "user", "content": "<prompt>no</prompt>"},
        {"role": "assistant", "content": "<prompt>no</prompt>"},
        {"role": "user", "content": "<prompt>yes</prompt>"},
        {"role": "assistant", "content": ""},
    ]
    assert (await spec_of(api, {"messages": messages})).decode.caption == "yes"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"messages": "hello"},
        {"messages": []},
        {"messages": [5, {"role": "system", "content": "x"}]},
        chat(" "),
        chat(None),
        chat([{"type": "image_url", "image_url": {"url": "data:,"}}]),
        chat([{"type": "text", "text": 5}]),
        *(chat("", sample_mode=word) for word in ("false", "N", "0", False)),
    ],
)
async def test_requests_that_describe_nothing(api: ApiHarness, fields: dict[str, object]) -> None:
    answer = await complete(api, fields)
    problem_of(answer, 400, "malformed_body")
    assert await api.queued() == 0
