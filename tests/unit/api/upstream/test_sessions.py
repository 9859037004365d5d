"""A session of each kind of client, as its own code sends it: check, submit, poll, download."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import PLAN, WRITTEN, ApiHarness
from tests.unit.api.request.test_source_audio import SONG
from tests.unit.api.upstream.tasks import data_of, engines, query

DAW_TEXTS = {
    "prompt": "upbeat pop song",
    "lyrics": "",
    "task_type": "text2music",
    "audio_duration": "30",
    "bpm": "120",
    "key_scale": "C major",
    "time_signature": "4",
    "vocal_language": "unknown",
    "negative_prompt": "",
    "inference_steps": "8",
    "guidance_scale": "7",
    "shift": "3",
    "batch_size": "1",
    "audio_format": "wav",
    "thinking": "true",
    "use_random_seed": "true",
    "seed": "-1",
    "model": "",
    "chunk_mask_mode": "auto",
    "repaint_mode": "balanced",
    "repaint_strength": "0.5",
    "repainting_start": "0",
    "repainting_end": "-1",
}


async def test_the_daw(api: ApiHarness) -> None:
    """In a browser on another port, under /api, always multipart with a source file, no key."""
    page = {"Origin": "http://localhost:5173"}
    assert (await api.http.get("/api/health", headers=page)).status_code == 200
    models = data_of(await api.http.get("/api/v1/model_inventory", headers=page))["models"]
    assert any(one["is_loaded"] for one in models), "else it does not let anybody generate"
    assert data_of(await api.http.post("/api/v1/init", json={"model": models[0]["name"]}))
    answer = await api.http.post(
        "/api/release_task",
        data={**DAW_TEXTS, "model": models[0]["name"]},
        files={"src_audio": ("src.wav", b"RIFF, but no audio: it is not used", "audio/wav")},
        headers=page,
    )
    sent = await engines(api, answer)
    assert (sent.plan["bpm"], sent.plan["duration"], sent.plan["cfg_scale"]) == (120, 30, 2.5)
    assert (sent.decode["audio_format"], len(sent.decode["seeds"])) == ("wav", 1)
    assert sent.decode["source"] is None and "source audio is not used" in sent.warnings
    assert "repaint" not in sent.warnings and "chunk_mask" not in sent.warnings
    await api.succeed([b"take"], plan=PLAN, ext="wav")
    asked = {"task_id_list": [data_of(answer)["task_id"]]}
    state = data_of(await api.http.post("/api/query_result", json=asked, headers=page))[0]
    assert state["status"] == 1
    (item,) = json.loads(state["result"])
    assert item["file"].startswith("/v1/"), "it takes no other URL"
    take = await api.http.get("/api" + item["file"], headers={**page, "Range": "bytes=0-1"})
    assert (take.status_code, take.content) == (206, b"ta")
    assert "content-range" in take.headers["access-control-expose-headers"].lower()


async def test_the_daw_repaints(api: ApiHarness) -> None:
    texts = {**DAW_TEXTS, "task_type": "repaint", "repainting_start": "0.5", "repainting_end": "1"}
    answer = await api.http.post(
        "/api/release_task", data=texts, files={"src_audio": ("src.wav", SONG, "audio/wav")}
    )
    sent = await engines(api, answer)
    assert (sent.decode["repaint_start"], sent.decode["repaint_end"]) == (0.5, 1)
    assert sent.decode["source"].samples == 16_000
    asked = {name: sent.decode[name] for name in ("repaint_mode", "chunk_mask_mode")}
    assert asked == {"repaint_mode": "balanced", "chunk_mask_mode": "auto"}
    assert "repaint_" not in sent.warnings and "chunk_mask" not in sent.warnings


@pytest.mark.parametrize("name", ["src_audio", "ctx_audio"])
@pytest.mark.parametrize("reference", ["reference_audio", "ref_audio"])
async def test_files_under_both_names(api: ApiHarness, name: str, reference: str) -> None:
    files = {name: ("a.wav", SONG), reference: ("b.wav", SONG)}
    data = {"task_type": "cover", "prompt": "jazz"}
    sent = await engines(api, await api.http.post("/release_task", data=data, files=files))
    assert sent.decode["source"] and sent.decode["reference"] and sent.warnings == ""


async def test_the_skill(make_api: MakeHarness) -> None:
    """A shell script with a Bearer key; use_format and thinking are true by default."""
    api = await make_api(api_key="k")
    key = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    assert data_of(await api.http.get("/health", headers=key))["status"] == "ok"
    assert (await api.http.get("/v1/models", headers=key)).json()["data"][0]["id"]
    body = {
        "prompt": "a calm piano piece",
        "lyrics": "[verse]\nHello world",
        "use_format": True,
        "thinking": True,
        "sample_mode": False,
        "audio_format": "mp3",
        "batch_size": 1,
        "vocal_language": "en",
    }
    answer = await api.http.post("/release_task", content=json.dumps(body), headers=key)
    sent = await engines(api, answer)
    assert (sent.plan["kind"], sent.plan["infer_type"]) == ("format", "llm_dit")
    assert sent.plan["caption"] == "a calm piano piece" and sent.warnings == ""
    await api.succeed([b"take"], plan=WRITTEN)
    # It sends the list as JSON text.
    asked = json.dumps({"task_id_list": json.dumps([data_of(answer)["task_id"]])})
    state = data_of(await api.http.post("/query_result", content=asked, headers=key))[0]
    (item,) = json.loads(state["result"])
    assert item["metas"]["bpm"] == 97 and item["prompt"] == "A calm, warm tune."
    assert item["lyrics"] == "[Verse]\nRain on the roof"
    assert item["metas"]["lyrics"] == "[verse]\nHello world"
    take = await api.http.get(item["file"], headers={"Authorization": "Bearer k"})
    assert take.content == b"take"


async def test_the_skill_with_a_description(api: ApiHarness) -> None:
    body = {
        "sample_query": "a sad song about rain",
        "use_format": True,
        "thinking": True,
        "batch_size": 1,
    }
    sent = await engines(api, await api.http.post("/release_task", json=body))
    assert (sent.plan["kind"], sent.plan["query"]) == ("sample", "a sad song about rain")
    assert sent.warnings == ""
    await api.succeed([b"take"], plan=WRITTEN)
    (item,) = (await query(api, api.service.submits[-1].job_id))[0]["items"]
    assert (item["prompt"], item["cot_caption"]) == ("A calm, warm tune.",) * 2
    assert (item["lyrics"], item["cot_lyrics"]) == ("[Verse]\nRain on the roof",) * 2
    assert item["metas"]["prompt"] == "a sad song about rain" and item["metas"]["lyrics"] == ""


async def test_the_vst(api: ApiHarness) -> None:
    """It needs HTTP 200 and code 200, and reads the file's type from the URL."""
    assert (await api.http.get("/health")).json()["data"]["status"] == "ok"
    body: dict[str, Any] = {
        "prompt": "drum loop",
        "lyrics": "[Instrumental]",
        "audio_duration": 12.0,
        "inference_steps": 8,
        "seed": -1,
        "use_random_seed": True,
        "batch_size": 2,
        "thinking": False,
        "audio_format": "wav",
    }
    answer = await api.http.post("/release_task", json=body)
    assert (answer.status_code, answer.json()["code"]) == (200, 200)
    sent = await engines(api, answer)
    assert (sent.decode["seconds"], sent.decode["lyrics"]) == (12.0, "[Instrumental]")
    await api.succeed(ext="wav")
    asked = {"task_id_list": [data_of(answer)["task_id"]]}
    state = data_of(await api.http.post("/query_result", json=asked))[0]
    for item, data in zip(json.loads(state["result"]), (b"one", b"two"), strict=True):
        assert item["file"].endswith(".wav") and item["status"] == 1
        assert (await api.http.get(item["file"])).content == data


async def test_the_studio_page(make_api: MakeHarness) -> None:
    """A local file in the browser: its origin is null; the service must be set to allow it."""
    api = await make_api(cors_origins="loopback,null")
    page = {"Origin": "null"}
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = await api.http.options("/release_task", headers={**page, **ask})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "null")
    body = {"prompt": "jazz", "lyrics": "", "key_scale": "", "bpm": None, "audio_duration": -1}
    answer = await api.http.post("/release_task", json=body, headers=page)
    assert answer.headers["access-control-allow-origin"] == "null"
    assert (await engines(api, answer)).warnings == ""


async def test_an_mcp_server(api: ApiHarness) -> None:
    """Steps up to 50, formats of its own, the key as ai_token; it stops at status 2."""
    body = {
        "prompt": "lo-fi beat",
        "key_scale": "A minor",
        "batch_size": 1,
        "inference_steps": 50,
        "audio_format": "ogg",
        "audio_duration": 20,
        "ai_token": "",
    }
    answer = await api.http.post("/release_task", json=body)
    sent = await engines(api, answer)
    assert (sent.decode["steps"], sent.decode["audio_format"]) == (50, "ogg")
    await api.service.finish(await api.service.start(), None)
    asked = {"task_id_list": [data_of(answer)["task_id"], "gone"]}
    failed, gone = data_of(await api.http.post("/query_result", json=asked))
    assert (failed["status"], gone["status"]) == (2, 2)
    assert json.loads(failed["result"])[0]["error"] == "The decoder ran out of memory."


async def test_a_web_ui_that_sends_everything_empty(api: ApiHarness) -> None:
    body = {
        "prompt": "jazz",
        "lyrics": "",
        "bpm": 0,
        "key_scale": "Auto",
        "time_signature": "auto",
        "audio_duration": -1,
        "batch_size": 16,
        "seed": None,
        "track_classes": [],
        "repainting_end": 0,
        "reference_audio_path": "",
        "src_audio_path": None,
        "audio_codes": "",
        "lm_model_path": "null",
        "timesteps": "",
        "vocal_language": "undefined",
    }
    sent = await engines(api, await api.http.post("/release_task", json=body))
    assert len(sent.decode["seeds"]) == 8
    assert sent.warnings == "batch_size is at most 8: 8 is used, not 16."


BODIES: dict[str, dict[str, Any]] = {
    "json": {"content": b'{"prompt": "jazz", "bpm": "90"}', "type": "application/json"},
    "+json": {"content": b'{"prompt": "jazz", "bpm": 90}', "type": "application/vnd.song+json"},
    "other +json": {"content": b'{"prompt": "jazz", "bpm": 90}', "type": "text/x-song+json"},
    "text": {"content": b'{"prompt": "jazz", "bpm": 90}', "type": "text/plain"},
    "form": {"content": b"prompt=jazz&bpm=90", "type": "application/x-www-form-urlencoded"},
    "text form": {"content": b"prompt=jazz&bpm=90", "type": "text/plain"},
    "json as form": {"content": b'{"prompt": "jazz", "bpm": 90}',
                     "type": "application/x-www-form-urlencoded"},
}  # fmt: skip


async def post(api: ApiHarness, content: bytes, media_type: str) -> httpx.Response:
    headers = {"Content-Type": media_type}
    return await api.http.post("/release_task", content=content, headers=headers)


@pytest.mark.parametrize("kind", BODIES)
async def test_bodies_of_every_type(api: ApiHarness, kind: str) -> None:
    body = BODIES[kind]
    sent = await engines(api, await post(api, body["content"], body["type"]))
    assert (sent.decode["caption"], sent.decode["bpm"]) == ("jazz", 90)


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [(b"{", "application/json", 400), (b"[1]", "application/json", 400),
     (b"<song/>", "application/xml", 415), (b"{", "text/plain", 415)],
)  # fmt: skip
async def test_bodies_that_cannot_be_read(
    api: ApiHarness, content: bytes, media_type: str, status: int
) -> None:
    answer = await post(api, content, media_type)
    assert answer.status_code == status and answer.json()["detail"]


async def test_a_full_queue(make_api: MakeHarness) -> None:
    api = await make_api(limits={"queue": 1})
    await api.submit()
    answer = await api.http.post("/release_task", json={"prompt": "jazz"})
    assert answer.status_code == 429 and "full" in answer.json()["detail"]
    assert answer.headers["retry-after"]


async def test_the_path_of_a_file_is_read_back_from_its_url(api: ApiHarness) -> None:
    """Some clients take the path out of the URL and build one of their own."""
    await api.http.post("/release_task", json={"prompt": "jazz"})
    task_id = await api.succeed()
    answer = await api.http.post("/query_result", json={"task_id_list": [task_id]})
    url = json.loads(data_of(answer)[0]["result"])[0]["file"]
    path = parse_qs(urlsplit(url).query)["path"][0]
    answer = await api.http.get("/v1/audio", params={"path": path})
    assert answer.content == b"one"
