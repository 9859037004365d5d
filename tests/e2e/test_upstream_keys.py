"""Sessions of upstream's clients that send a key: the agent skill and an MCP server."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.one_process import OneProcess, one_process
from tests.upstream_client import RATE, UpstreamClient, data_of, decoded, takes_by


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    with one_process(data=tmp_path_factory.mktemp("keys"), api_key="k") as service:
        yield service


@pytest.fixture
def skill(service: OneProcess) -> Iterator[UpstreamClient]:
    client = UpstreamClient(service.url, {"Authorization": "Bearer k"})
    with client.http:
        yield client


def generated(client: UpstreamClient, **fields: object) -> list[dict[str, Any]]:
    """A task with what the skill sends by default."""
    body = {
        "prompt": "",
        "lyrics": "",
        "sample_query": "",
        "thinking": True,
        "use_format": True,
        "use_cot_caption": True,
        "use_cot_language": True,
        "vocal_language": "en",
        "audio_format": "mp3",
        "use_random_seed": True,
        **fields,
    }
    return client.takes(client.release(body))


def written_by_the_lm(take: dict[str, Any]) -> None:
    assert take["lyrics"].strip() and take["prompt"].strip() and take["lm_model"]
    assert "N/A" not in (take["metas"]["bpm"], take["metas"]["keyscale"], take["metas"]["duration"])
    assert take["warnings"] == []


def test_the_skill_has_a_song_written_from_a_description(skill: UpstreamClient) -> None:
    assert skill.get("/health")["status"] == "ok"
    query = "a sad song about rain"
    (take,) = generated(skill, sample_query=query, audio_duration=20, batch_size=1)
    written_by_the_lm(take)
    assert take["prompt"] != query, "the language model has written a caption"
    assert abs(len(skill.audio(take)) - 20 * RATE) < RATE // 10


def test_the_skill_wants_any_song(skill: UpstreamClient) -> None:
    takes = skill.takes(skill.release({"sample_mode": True, "thinking": True}))
    assert len(takes) == 2
    for take in takes:
        written_by_the_lm(take)
        assert skill.audio(take).size


def test_the_skill_sends_caption_and_lyrics(skill: UpstreamClient) -> None:
    lyrics = "[verse]\nThe night is over\nThe day begins"
    (take,) = generated(skill, prompt="calm piano", lyrics=lyrics, batch_size=1)
    written_by_the_lm(take)
    assert "night is over" in take["lyrics"], "its words are still sung"
    assert "piano" in take["prompt"].lower()
    assert skill.audio(take).size


def test_the_skill_in_completion_mode(skill: UpstreamClient) -> None:
    model = skill.http.get(f"{skill.url}/v1/models").json()["data"][0]["id"]
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "a happy song about a dog"}],
        "audio_config": {"duration": 12, "format": "mp3", "vocal_language": "en"},
        "thinking": True,
        "stream": False,
    }
    answer = skill.http.post(f"{skill.url}/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    assert choice["finish_reason"] == "stop" and choice["message"]["content"]
    (sound,) = choice["message"]["audio"]
    head, _, data = sound["audio_url"]["url"].partition(",")
    assert head == "data:audio/mpeg;base64"
    assert abs(len(decoded(base64.b64decode(data), "mp3")) - 12 * RATE) < RATE // 10


def test_the_skill_in_completion_mode_as_a_stream(skill: UpstreamClient) -> None:
    content = "<prompt>jazz trio</prompt><lyrics>[verse]\nla la la</lyrics>"
    body = {
        "model": skill.http.get(f"{skill.url}/v1/models").json()["data"][0]["id"],
        "messages": [{"role": "user", "content": content}],
        "audio_config": {"duration": 10, "format": "mp3"},
        "stream": True,
    }
    url = f"{skill.url}/v1/chat/completions"
    with skill.http.stream("POST", url, json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    choices = [json.loads(line)["choices"][0] for line in lines[:-1]]
    assert choices[-1]["finish_reason"] == "stop"
    (sound,) = [sound for one in choices for sound in one["delta"].get("audio") or []]
    assert decoded(base64.b64decode(sound["audio_url"]["url"].partition(",")[2]), "mp3").size


@pytest.mark.parametrize("header", [{"Authorization": "Bearer k"}, {"Authorization": "k"}, {}])
def test_an_mcp_server(service: OneProcess, header: dict[str, str]) -> None:
    """Its key is a header in one of two forms, or a field of the body."""
    client = UpstreamClient(service.url, header)
    in_body = {} if header else {"ai_token": "k"}
    body = {
        "prompt": "lo-fi beat",
        "key": "A minor",
        "bpm": 80,
        "batch_size": 3,
        "inference_steps": 50,
        "audio_format": "ogg",
        "audio_duration": 10,
        **in_body,
    }
    with client.http:
        task_id = client.release(body)

        def poll() -> tuple[int, list[dict[str, Any]]]:
            (state,) = client.post("/query_result", {"task_id_list": [task_id], **in_body})
            return state["status"], json.loads(state["result"])

        takes = takes_by(poll)
        assert len(takes) == 3 and takes[0]["metas"]["keyscale"] == "A minor"
        client.http.headers["Authorization"] = "Bearer k"  # files have no body
        for take in takes:
            assert take["file"].endswith(".ogg")
            assert len(client.audio(take)) == 10 * RATE


def test_an_mcp_server_asks_for_aac(service: OneProcess) -> None:
    client = UpstreamClient(service.url, {"Authorization": "Bearer k"})
    with client.http:
        assert client.http.get(f"{client.url}/v1/models").json()["data"]
        body = {"prompt": "drums", "audio_format": "aac", "audio_duration": 10, "batch_size": 1}
        (take,) = client.takes(client.release(body))
        assert take["file"].endswith(".m4a") and take["warnings"] == []
        assert abs(len(client.audio(take)) - 10 * RATE) < RATE // 4
        song = client.post("/format_input", {"prompt": "drums", "lyrics": "la la la"})
        assert song["caption"] and "la la la" in song["lyrics"]


def test_without_a_key_a_client_reads_why(service: OneProcess) -> None:
    for path in ("/release_task", "/query_result", "/format_input", "/v1/chat/completions"):
        answer = httpx.post(service.url + path, json={"prompt": "x", "ai_token": "wrong"})
        assert answer.status_code == 401 and "key" in answer.json()["detail"], path
    assert data_of(httpx.get(f"{service.url}/health"))["status"] == "ok"
