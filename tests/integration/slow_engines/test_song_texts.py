"""Songs whose text the language model writes, from HTTP to the file, on a running service."""

import json
from typing import Any

from tests.service import Service, until

SONG = {"audio_duration": 10, "batch_size": 1, "audio_format": "wav"}
SAMPLE = {**SONG, "sample_query": "a sad song about rain"}


def test_a_song_from_a_description(service: Service) -> None:
    job_id = service.submit(**SAMPLE, use_5hz_lm=True)
    stages: set[str] = set()

    def written() -> bool:
        """Its stage was seen; a job that ended between two looks is followed by another."""
        nonlocal job_id
        job = service.job(job_id)
        if job["progress"]:
            stages.add(job["progress"]["stage"])
        if job["status"] == "succeeded" and "writing" not in stages:
            job_id = service.submit(**SAMPLE, use_5hz_lm=True)
        return "writing" in stages

    until(written, "no job was seen while its text was written")
    job = service.finish(job_id)
    assert job["status"] == "succeeded" and job["warnings"] == [], job
    result = job["result"]
    assert result["lm_lyrics"].startswith("[Verse 1]") and "rain" in result["lm_lyrics"]
    assert "rain" in result["lm_caption"] and result["vocal_language"] == "en"
    assert result["audio_codes"].count("<|audio_code_") == 50 and result["metas"]["bpm"]
    assert "Text: caption and lyrics written by acestep-5Hz-lm-" in result["generation_info"]
    audio = service.http.get(result["audio_paths"][0])
    assert audio.status_code == 200 and len(audio.content) > 10 * 48_000


def test_the_language_that_the_lm_chose_is_sung(service: Service) -> None:
    """And without use_5hz_lm there are a text and metadata, and no codes."""
    request = SONG | {"sample_query": "a French song about the sea", "bpm": 77}
    result = service.make(**request)["result"]
    assert result["vocal_language"] == "fr" and result["audio_codes"] is None
    assert (result["bpm"], result["metas"]["bpm"]) == (77, 77)


def test_texts_in_a_better_form(service: Service) -> None:
    request = SONG | {"caption": "jazz", "lyrics": "Hello world\nhello moon", "use_format": True}
    result = service.make(**request)["result"]
    assert result["lm_caption"].startswith("jazz; ")
    assert result["lm_lyrics"] == "[Verse 1]\nHello world\nhello moon"


def test_a_sample_is_repeated_by_its_seed_and_replayed_by_its_texts(service: Service) -> None:
    seed = {"seed": 7, "use_random_seed": False}
    first, again = [service.make(**SAMPLE, **seed, use_5hz_lm=True) for _ in range(2)]
    result = first["result"]
    replay = {
        **{key: value for key, value in SAMPLE.items() if key != "sample_query"},
        **seed,
        "caption": result["lm_caption"],
        "lyrics": result["lm_lyrics"],
        "vocal_language": result["vocal_language"],
        "audio_code_string": result["audio_codes"],
        "metas": result["metas"],
    }
    takes = [
        service.http.get(job["result"]["audio_paths"][0]).content
        for job in (first, again, service.make(**replay))
    ]
    assert takes[0] == takes[1] == takes[2]


def test_a_client_of_upstreams_server(service: Service) -> None:
    """As the agent skill asks for a song in a few words; then a plain song, for which the language
    model writes caption and metadata."""
    song = {"batch_size": 1, "audio_duration": 10}
    for body, texts in (
        ({"sample_query": "a sad song about rain", "use_format": True, "thinking": True}, True),
        ({"prompt": "jazz", "lyrics": "la la"}, False),
    ):
        item = finished(service, {**song, **body})
        assert item["metas"]["bpm"] != "N/A" and item["lm_model"] and item["warnings"] == []
        assert item["prompt"] != item["metas"]["prompt"]
        if texts:
            assert "rain" in item["lyrics"] and item["cot_lyrics"] == item["lyrics"]
            assert item["metas"]["lyrics"] == ""
        else:
            assert (item["lyrics"], item["cot_lyrics"]) == ("la la", "")
        assert service.http.get(item["file"]).status_code == 200


def test_a_finished_song_is_understood_from_its_codes(service: Service) -> None:
    codes = service.make(**SONG, caption="jazz", use_5hz_lm=True)["result"]["audio_codes"]
    answer = service.http.post("/v1/understand", json={"audio_codes": codes})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert data["caption"] and data["lyrics"] and data["bpm"] and data["duration"] == 10


def finished(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    """The first take of a task of upstream's API."""
    task = service.http.post("/release_task", json=body).json()["data"]["task_id"]
    service.finish(task)
    answer = service.http.post("/query_result", json={"task_id_list": [task]})
    item: dict[str, Any] = json.loads(answer.json()["data"][0]["result"])[0]
    return item
