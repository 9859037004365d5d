"""Sessions of upstream's other clients that send no key: submit, poll, download, decode."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service import Service
from tests.upstream_client import RATE, UpstreamClient, data_of, decoded, takes_by


@pytest.fixture
def client(service: Service) -> Iterator[UpstreamClient]:
    client = UpstreamClient(service.url)
    with client.http:
        yield client


def test_the_vst_plug_in(client: UpstreamClient) -> None:
    """JSON; it needs code 200, reads the type of a file from its URL, and shows ``error``."""
    assert client.get("/health")["status"] == "ok"
    body = {
        "prompt": "drum loop",
        "lyrics": "",
        "task_type": "text2music",
        "audio_duration": 12,
        "batch_size": 1,
        "audio_format": "wav",
        "thinking": False,
        "use_random_seed": False,
        "seed": 12345,
        "inference_steps": 6,
        "guidance_scale": 7.0,
        "model": "acestep-v15-turbo",
    }
    (take,) = client.takes(client.release(body))
    assert take["seed_value"] == "12345"
    url = take.get("url") or take["file"]
    assert url.startswith("/") and url.endswith(".wav")
    assert len(client.audio(take)) == 12 * RATE
    # Files of the user's machine can be read only where the service allows their folder.
    cover = {**body, "task_type": "cover", "src_audio_path": "/home/me/loop.wav"}
    refused = client.http.post(f"{client.url}/release_task", json=cover)
    assert refused.status_code == 400 and "src_audio" in refused.json()["error"]
    # The path of a take is no file of the machine.
    (covered,) = client.takes(client.release({**cover, "src_audio_path": take["file"]}))
    assert len(client.audio(covered)) == 12 * RATE


def test_a_fork_of_ace_step_ui(client: UpstreamClient) -> None:
    """Sends every field that it has, null and empty too, and the list of tasks as JSON text."""
    assert client.get("/health")["models_initialized"] is True
    body: dict[str, Any] = {
        "prompt": "lo-fi beat",
        "lyrics": "",
        "bpm": None,
        "key_scale": "",
        "time_signature": "",
        "audio_duration": 8,
        "vocal_language": "en",
        "batch_size": 16,
        "seed": None,
        "use_random_seed": True,
        "thinking": False,
        "audio_format": "mp3",
        "mp3_bitrate": "128k",
        "get_lrc": False,
        "reference_audio_path": None,
        "src_audio_path": "",
        "audio_codes": "",
        "track_name": None,
        "track_classes": [],
        "repainting_start": 0,
        "repainting_end": None,
        "timesteps": None,
        "lm_negative_prompt": "",
    }
    task_id = client.release(body)

    def poll() -> tuple[int, list[dict[str, Any]]]:
        (state,) = client.post("/query_result", {"task_id_list": json.dumps([task_id])})
        return state["status"], json.loads(state["result"])

    takes = takes_by(poll)
    assert len({take["file"] for take in takes}) == len(takes) == 8
    for take in takes:
        # It takes the path out of the URL and makes another of it.
        (path,) = parse_qs(urlsplit(take["file"]).query)["path"]
        answer = client.http.get(f"{client.url}/v1/audio", params={"path": path})
        assert answer.headers["content-type"] == "audio/mpeg"
        assert abs(len(decoded(answer.content, "mp3")) - 8 * RATE) < RATE // 10


@pytest.mark.parametrize("thinking", [True, False])
def test_a_player_that_never_ends(client: UpstreamClient, thinking: bool) -> None:
    """infinitune and others: no length, and use_format as thinking."""
    body = {
        "prompt": "ambient drone",
        "lyrics": "",
        "audio_duration": -1,
        "thinking": thinking,
        "use_format": thinking,
        "batch_size": 1,
        "audio_format": "mp3",
    }
    (take,) = client.takes(client.release(body))
    seconds = len(client.audio(take)) / RATE
    assert 10 <= seconds <= 600
    assert take["metas"]["duration"] in (pytest.approx(seconds, abs=0.5), "N/A")


def test_a_form_of_a_gpu_provider(client: UpstreamClient) -> None:
    """Only a caption and a duration, urlencoded."""
    form = {"caption": "jazz", "duration": "9.5", "audio_format": "flac"}
    answer = client.http.post(f"{client.url}/release_task", data=form)
    takes = client.takes(data_of(answer)["task_id"])
    assert [len(client.audio(take)) / RATE for take in takes] == [9.48, 9.48]


def test_a_task_that_is_not_there_ends_the_polling(client: UpstreamClient) -> None:
    status, items = client.state("550e8400-e29b-41d4-a716-446655440000")
    assert status == 2 and items[0]["error"]
