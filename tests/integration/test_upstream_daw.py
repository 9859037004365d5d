"""Sessions of the official web DAW: a browser page, under /api, always multipart, without a key."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.browser import chromium, fetch, page_server, play, plays, post, post_form
from tests.service import Service, until
from tests.upstream_client import RATE, UpstreamClient, data_of

FIELDS = {
    "prompt": "upbeat pop song",
    "lyrics": "",
    "negative_prompt": "",
    "task_type": "text2music",
    "audio_duration": "10",
    "bpm": "120",
    "key_scale": "C major",
    "time_signature": "4",
    "vocal_language": "unknown",
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
"""What it sends with every task, as text."""


@pytest.fixture
def daw(service: Service) -> Iterator[UpstreamClient]:
    client = UpstreamClient(f"{service.url}/api", {"Origin": "http://localhost:5173"})
    with client.http:
        yield client


def wav(seconds: float) -> bytes:
    """A track of the project: a tone."""
    time = np.arange(int(seconds * RATE)) / RATE
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * 330 * time), RATE, format="WAV")
    return buffer.getvalue()


def release(daw: UpstreamClient, source: bytes, **fields: str) -> str:
    answer = daw.http.post(
        f"{daw.url}/release_task",
        data={**FIELDS, **fields},
        files={"src_audio": ("source.wav", source, "audio/wav")},
    )
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    task_id: str = data_of(answer)["task_id"]
    return task_id


def test_a_song_from_text(daw: UpstreamClient) -> None:
    """The file of one silent second that it sends beside a text-to-music task is not used."""
    assert daw.http.get(f"{daw.url}/health").status_code == 200
    models = daw.get("/v1/model_inventory")["models"]
    loaded = [one["name"] for one in models if one["is_loaded"]]
    assert loaded, "else it lets nobody generate"
    initialized = daw.post("/v1/init", {"model": loaded[0], "slot": 1, "init_llm": True})
    assert initialized["loaded_model"] == loaded[0] and initialized["llm_initialized"]
    before = daw.get("/v1/stats")["jobs"]["succeeded"]
    take, *others = daw.takes(release(daw, wav(1), model=loaded[0]))
    assert not others
    assert len(daw.audio(take)) == 10 * RATE
    assert (take["metas"]["bpm"], take["metas"]["keyscale"]) == (120, "C major")
    assert daw.get("/v1/stats")["jobs"]["succeeded"] > before


def test_the_language_model_writes_what_it_then_generates(daw: UpstreamClient) -> None:
    """Its buttons: a random example, a song from a description, and a better caption."""
    example = daw.post("/create_random_sample", {"sample_type": "simple_mode"})
    assert example["description"].strip()
    query = {
        "query": example["description"],
        "vocal_language": example["vocal_language"],
        "instrumental": example["instrumental"],
    }
    song = daw.post("/v1/create_sample", query)
    metadata = {name: song[name] for name in ("bpm", "keyscale", "duration", "timesignature")}
    assert all(metadata.values()) and song["caption"].strip() and song["lyrics"].strip()
    written = daw.post(
        "/format_input",
        {
            "prompt": song["caption"],
            "lyrics": song["lyrics"],
            "temperature": 0.85,
            "param_obj": json.dumps({"bpm": 96, "duration": 11, "language": "en"}),
        },
    )
    assert (written["bpm"], written["duration"]) == (96, 11), "what was sent is kept"
    assert written["caption"].strip() and written["lyrics"].strip()
    fields = {
        "prompt": written["caption"],
        "lyrics": written["lyrics"],
        "bpm": str(written["bpm"]),
        "key_scale": written["key_scale"],
        "time_signature": written["time_signature"],
        "audio_duration": str(written["duration"]),
        "vocal_language": written["vocal_language"],
    }
    (take,) = daw.takes(release(daw, wav(1), **fields))
    assert len(daw.audio(take)) == 11 * RATE
    assert take["metas"]["keyscale"] == written["key_scale"]
    custom = daw.post("/create_random_sample", {"sample_type": "custom_mode"})
    assert custom["caption"].strip() and custom["lyrics"].strip() and custom["bpm"]


def test_a_repaint_keeps_the_rest_of_the_track(daw: UpstreamClient) -> None:
    source = wav(6)
    fields = {"task_type": "repaint", "repainting_start": "2", "repainting_end": "4"}
    (take,) = daw.takes(release(daw, source, **fields))
    samples = daw.audio(take)
    before, _ = soundfile.read(io.BytesIO(source), dtype="float32")
    assert len(samples) == 6 * RATE
    for kept in (slice(0, 2 * RATE), slice(4 * RATE, None)):
        np.testing.assert_allclose(samples[kept, 0], before[kept], atol=1e-3)
    assert np.abs(samples[2 * RATE : 4 * RATE, 0] - before[2 * RATE : 4 * RATE]).max() > 0.1


def test_a_cover_has_the_length_of_the_track(daw: UpstreamClient) -> None:
    task = release(daw, wav(5), task_type="cover", audio_cover_strength="0.7")
    (take,) = daw.takes(task)
    assert len(daw.audio(take)) == 5 * RATE


def test_in_a_browser(service: Service) -> None:
    """Through the service's own proxy: CORS, a form with a file, and parts of a take."""
    base = f"{service.url}/api"
    with page_server() as port, chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://localhost:{port}/")
        released = post_form(page, f"{base}/release_task", FIELDS)
        assert released.status == 200, released.text
        asked = {"task_id_list": [released.json["data"]["task_id"]]}

        def ended() -> Any:
            answer = post(page, f"{base}/query_result", asked)
            (state,) = answer.json["data"]
            assert state["status"] in (0, 1), state
            return state["status"] and json.loads(state["result"])

        (take,) = until(ended, "the task did not end")
        part = fetch(page, base + take["file"], headers={"Range": "bytes=0-3"})
        assert (part.status, part.text) == (206, "RIFF")
        assert part.headers["content-range"].startswith("bytes 0-3/")
        assert play(page, base + take["file"]) == ""
        until(lambda: plays(page), "the take did not play")
