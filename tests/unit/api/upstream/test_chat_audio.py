"""Audio parts of chat completions: which file they are, and how they are read."""

import asyncio
import base64
import json
import threading
from typing import Any

import pytest

from acestep_ray.api.upstream import chat_body
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness, field_errors, problem_of
from tests.unit.api.request.test_source_audio import SONG
from tests.unit.api.upstream.asgi import Client
from tests.unit.api.upstream.chats import PATH, chat, complete, sound, spec_of, until_queued

TEXT = {"type": "text", "text": "<prompt>calm folk</prompt>"}
ENCODED = base64.b64encode(SONG).decode()
HEADERS = {"Content-Type": "application/json"}


def edit(*parts: dict[str, Any], **fields: object) -> dict[str, Any]:
    return chat([TEXT, *parts], task_type="cover", **fields)


async def test_a_song_to_cover_and_a_reference(api: ApiHarness) -> None:
    song = (await spec_of(api, edit(sound(SONG), sound(SONG)))).decode
    assert song.source is not None and song.reference is not None
    assert (song.task, song.caption) == ("cover", "calm folk")
    assert song.source.key != song.reference.key
    song = (await spec_of(api, edit(sound(SONG)))).decode
    assert song.source is not None and song.reference is None


@pytest.mark.parametrize("task", [{"taskType": "Cover"}, {"param_obj": {"task_type": "cover"}}])
async def test_every_name_of_the_task_counts(api: ApiHarness, task: dict[str, object]) -> None:
    parts = [{"type": "text", "text": "softer"}, sound(SONG), sound(SONG)]
    song = (await spec_of(api, chat(parts, **task))).decode
    assert song.source is not None and song.reference is not None
    assert (song.task, song.caption) == ("cover", "softer")


async def test_audio_for_a_new_song_is_the_reference(api: ApiHarness) -> None:
    song = (await spec_of(api, chat([TEXT, sound(SONG)]))).decode
    assert song.source is None and song.reference is not None
    assert song.task == "text2music"


async def test_audio_alone_is_a_request(api: ApiHarness) -> None:
    assert (await spec_of(api, chat([sound(SONG)]))).decode.reference is not None


async def test_the_text_of_an_edit_is_its_prompt(api: ApiHarness) -> None:
    fields = chat(
        [{"type": "text", "text": "softer"}, sound(SONG)],
        task_type="repaint",
        repainting_start=0.5,
        repainting_end=1,
    )
    song = (await spec_of(api, fields)).decode
    assert (song.caption, song.repaint_start, song.repaint_end) == ("softer", 0.5, 1.0)


def url_part(url: str) -> dict[str, Any]:
    return {"type": "audio_url", "audio_url": {"url": url}}


@pytest.mark.parametrize(
    "part",
    [
        sound(SONG, "data:audio/wav;base64,"),
        url_part(f"data:audio/wav;base64,{ENCODED}"),
        {"type": "audio_url", "audio_url": f"data:audio/wav;base64,{ENCODED}"},
        {"type": "input_audio", "input_audio": {"data": ENCODED.rstrip("=")}},
        {"type": "input_audio", "input_audio": {"data": ENCODED.translate({43: 45, 47: 95})}},
        {"type": "input_audio", "input_audio": {"data": base64.encodebytes(SONG).decode()}},
        {"type": "input_audio", "input_audio": ENCODED},
    ],
)
async def test_every_form_of_base64(api: ApiHarness, part: dict[str, Any]) -> None:
    reference = (await spec_of(api, edit(part))).decode.source
    plain = (await spec_of(api, edit(sound(SONG)))).decode.source
    assert reference is not None and plain is not None
    assert reference.samples == plain.samples


async def test_slashes_as_some_programs_write_them(api: ApiHarness) -> None:
    content = json.dumps(edit(sound(SONG))).replace("/", "\\/")
    call = asyncio.create_task(api.http.post(PATH, content=content, headers=HEADERS))
    await until_queued(api)
    await api.succeed((b"one",))
    source = (await api.stored((await call).json()["job_id"])).decode.source
    plain = (await spec_of(api, edit(sound(SONG)))).decode.source
    assert source is not None and plain is not None
    assert source.samples == plain.samples


async def test_short_audio_is_read_like_long_audio(api: ApiHarness) -> None:
    """Only long data is taken out of the body before it is parsed."""
    for data in (b"RIFF", b"RIFF" * 10_000):
        answer = await api.http.post(PATH, json=edit(sound(data)))
        assert "src_audio" in field_errors(answer, "invalid_audio")
        assert await api.queued() == 0


@pytest.mark.parametrize(
    "data", ["", "!", "A" * 2001, "é" * 2000, "A" * 5000 + "=A", 5, None, [], {}]
)
async def test_data_that_is_not_base64(api: ApiHarness, data: object) -> None:
    part = {"type": "input_audio", "input_audio": {"data": data}}
    problem_of(await api.http.post(PATH, json=edit(part)), 400, "malformed_body")
    assert await api.queued() == 0


@pytest.mark.parametrize("url", ["http://music/a.wav", "HTTPS://music/a.wav", "file:///a.wav", ""])
async def test_nothing_is_fetched(api: ApiHarness, url: str) -> None:
    problem_of(await api.http.post(PATH, json=edit(url_part(url))), 400, "malformed_body")


async def test_too_many_parts(api: ApiHarness) -> None:
    answer = await api.http.post(PATH, json=edit(sound(SONG), sound(SONG), sound(SONG)))
    problem_of(answer, 400, "malformed_body")
    answer = await api.http.post(PATH, json=chat([TEXT, sound(SONG), sound(SONG)]))
    problem_of(answer, 400, "malformed_body")
    parts = [sound(SONG)] * (chat_body.MOST_FILES + 1)
    problem_of(await api.http.post(PATH, json=edit(*parts)), 400, "malformed_body")


async def test_parts_are_counted_before_any_is_decoded(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small body can hold thousands of them."""
    decoded = []
    monkeypatch.setattr(chat_body, "_decoded", lambda *part: decoded.append(part))
    fields = edit(*[{"type": "input_audio", "input_audio": "QUJD"}] * 1000)
    problem = problem_of(await api.http.post(PATH, json=fields), 400, "malformed_body")
    assert "takes 2 audio part(s) at most; there are 1000" in problem["detail"]
    assert decoded == []


async def test_a_cover_without_audio(api: ApiHarness) -> None:
    assert "src_audio_path" in field_errors(await api.http.post(PATH, json=edit()))


async def test_bodies_have_the_limits_of_uploads(make_api: MakeHarness) -> None:
    api = await make_api(limits={"upload_bytes": 300_000, "text_bytes": 2000})
    large = edit(sound(b"x" * 300_000))
    problem_of(await api.http.post(PATH, json=large), 413, "body_too_large")

    async def chunks() -> Any:
        yield json.dumps(large).encode()

    answer = await api.http.post(PATH, content=chunks(), headers=HEADERS)
    problem_of(answer, 413, "body_too_large")
    answer = await api.http.post(PATH, json=chat("x " * 2000))
    problem_of(answer, 413, "body_too_large")
    assert (await complete(api, edit(sound(SONG)))).status_code == 200


@pytest.mark.parametrize("step", ["_read", "_decoded"])
async def test_a_client_that_disconnects_while_its_body_is_read(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The thread that reads it, or decodes its parts, ends before the folder is removed."""
    begun, go = threading.Event(), threading.Event()
    ended: list[bool] = []
    original = getattr(chat_body, step)

    def slow(file: object, *others: Any) -> object:
        begun.set()
        assert go.wait(60)
        found = original(file, *others)
        ended.append(True)
        return found

    monkeypatch.setattr(chat_body, step, slow)
    client = Client(api, PATH, edit(sound(b"RIFF")))
    await asyncio.to_thread(begun.wait, 60)
    client.task.cancel()
    for _ in range(100):
        await asyncio.sleep(0)
    waited = not client.task.done()
    go.set()
    await client.end()
    assert (waited, ended) == (True, [True])
    assert await api.queued() == 0


async def test_only_audio_is_taken_out_of_the_body(api: ApiHarness) -> None:
    """Texts that look like audio stay texts."""
    lyrics = 'he said "data": "' + "A" * 1500 + '" and left'
    assert (await spec_of(api, chat("x", lyrics=lyrics))).decode.lyrics == lyrics
    long = "A" * 1500
    assert (await spec_of(api, chat("x", lyrics=long))).decode.lyrics == long


async def test_a_large_body_needs_the_key_in_a_header(make_api: MakeHarness) -> None:
    api = await make_api(api_key="k", limits={"text_bytes": 2000})
    fields = {**edit(sound(SONG)), "ai_token": "k"}
    problem_of(await api.http.post(PATH, json=fields), 401, "missing_api_key")
    del fields["ai_token"]
    answer = await api.http.post(PATH, json={**fields, "messages": []}, headers={"X-API-Key": "k"})
    problem_of(answer, 400, "malformed_body")
