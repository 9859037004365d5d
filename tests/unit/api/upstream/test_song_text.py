"""Texts of songs that are returned at once: rewritten, invented, or an example."""

import json
from typing import Any

import httpx
import pytest

from acestep_ray.api.request.body import Body
from acestep_ray.api.request.validation import check
from acestep_ray.api.upstream.example_songs import EXAMPLE_SONGS
from acestep_ray.jobs.runner.workflow import WorkerLost
from acestep_ray.planner.protocol import PlannerDescription, PlannerError
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import MOCK_LM, NOTHING, TURBO, ApiHarness, field_errors, problem_of
from tests.unit.api.upstream.tasks import data_of
from tests.unit.api.upstream.writers import TEXT, MockWriters, Writers

ROUTES = ["/format_input", "/v1/create_sample"]


@pytest.fixture
def writers() -> Writers:
    return Writers()


@pytest.fixture
async def api(make_api: MakeHarness, writers: Writers) -> ApiHarness:
    return await make_api(writers)


async def test_caption_and_lyrics_are_rewritten(api: ApiHarness, writers: Writers) -> None:
    fields = {
        "prompt": "folk",
        "lyrics": "the sea",
        "temperature": 0.5,
        "param_obj": {"duration": 40, "bpm": 90, "key": "Am", "time_signature": "3/4"},
    }
    data = data_of(await api.http.post("/format_input", json=fields))
    assert data == {
        "caption": TEXT.caption,
        "lyrics": TEXT.lyrics,
        "bpm": 84,
        "key_scale": "D major",
        "keyscale": "D major",
        "time_signature": "3",
        "timesignature": "3",
        "duration": 95,
        "vocal_language": "en",
        "lm_model": TEXT.model,
        "mock": True,
        "warnings": [],
    }
    ((planner, asked),) = writers.asked
    assert planner == "Planner"
    assert (asked.kind, asked.caption, asked.lyrics) == ("format", "folk", "the sea")
    assert (asked.bpm, asked.key_scale, asked.time_signature) == (90, "A minor", "3")
    assert (asked.duration, asked.temperature, asked.vocal_language) == (40.0, 0.5, "")
    assert (asked.top_k, asked.top_p) == (None, None)


async def test_a_song_is_written_from_a_description(api: ApiHarness, writers: Writers) -> None:
    fields = {"query": " a calm song ", "vocal_language": "unknown", "instrumental": True}
    data_of(await api.http.post("/v1/create_sample", json=fields))
    asked = writers.asked[0][1]
    assert (asked.kind, asked.query, asked.instrumental) == ("sample", "a calm song", True)
    assert (asked.vocal_language, asked.temperature) == ("", 0.85)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/format_input", {"prompt": "sea shanty", "lyrics": "heave", "param_obj": {"bpm": 100}}),
        ("/v1/create_sample", {"query": "a sea shanty", "vocal_language": "fr", "bpm": 100}),
    ],
)
async def test_the_mock_planner_writes(
    make_api: MakeHarness, path: str, fields: dict[str, object]
) -> None:
    api = await make_api(MockWriters())
    data = data_of(await api.http.post(path, json=fields))
    assert data["caption"] and data["lyrics"] and data["bpm"] == 100
    again = check(
        Body({n: data[n] for n in ("caption", "lyrics", "key_scale")}, False, {}, ""),
        api.settings.limits,
    )
    assert not again.errors, "what was written is legal in a request"


@pytest.mark.parametrize(
    "param_obj", [{"language": "en", "bpm": "96"}, '{"language": "en", "bpm": 96}']
)
async def test_a_language_and_metadata_that_are_sent_count(
    api: ApiHarness, writers: Writers, param_obj: object
) -> None:
    data_of(await api.http.post("/format_input", json={"prompt": "x", "param_obj": param_obj}))
    asked = writers.asked[0][1]
    assert (asked.vocal_language, asked.bpm) == ("en", 96)


async def send_form(api: ApiHarness, fields: dict[str, str]) -> httpx.Response:
    return await api.http.post("/v1/create_sample", data=fields)


async def send_multipart(api: ApiHarness, fields: dict[str, str]) -> httpx.Response:
    files = {name: (None, value) for name, value in fields.items()}
    return await api.http.post("/v1/create_sample", files=files)


async def send_untyped(api: ApiHarness, fields: dict[str, str]) -> httpx.Response:
    return await api.http.post("/v1/create_sample", content=json.dumps(fields))


@pytest.mark.parametrize("send", [send_form, send_multipart, send_untyped])
async def test_every_type_of_body(api: ApiHarness, writers: Writers, send: Any) -> None:
    fields = {"query": "a waltz", "instrumental": "y", "top_k": "40", "top_p": "0.9"}
    data_of(await send(api, fields | {"param_obj": '{"temperature": "0.3"}'}))
    asked = writers.asked[0][1]
    assert (asked.query, asked.instrumental, asked.temperature) == ("a waltz", True, 0.3)
    assert (asked.top_k, asked.top_p) == (40, 0.9)


async def test_values_that_cannot_be_used_become_warnings(
    api: ApiHarness, writers: Writers
) -> None:
    fields = {
        "prompt": "x",
        "bpm": 1000,
        "temperature": "hot",
        "duration": 5,
        "lm_model_path": "no",
    }
    data = data_of(await api.http.post("/format_input", json=fields))
    warnings = " ".join(data["warnings"])
    for name in ("bpm", "temperature", "duration", "lm_model_path"):
        assert name in warnings
    asked = writers.asked[0][1]
    assert (asked.bpm, asked.temperature, asked.duration, asked.model) == (None, 0.85, None, "")


async def test_a_text_that_cannot_be_used_is_refused(api: ApiHarness, writers: Writers) -> None:
    answer = await api.http.post("/format_input", json={"lyrics": "x" * 20_001})
    assert "lyrics" in field_errors(answer)
    assert writers.asked == []


async def test_a_long_or_odd_description(api: ApiHarness, writers: Writers) -> None:
    for query in ("é" * 5000, "\ud800 sea \0", {"a": 1}, 5):
        content = json.dumps({"query": query})
        headers = {"Content-Type": "application/json"}
        data_of(await api.http.post("/v1/create_sample", content=content, headers=headers))
    texts = [asked.query for _, asked in writers.asked]
    assert texts == ["é" * 4000, "sea", '{"a": 1}', "5"]


async def test_a_body_may_be_missing(api: ApiHarness, writers: Writers) -> None:
    """The language model then invents a song."""
    data_of(await api.http.post("/v1/create_sample"))
    data_of(await api.http.post("/api/create_random_sample"))
    assert writers.asked[0][1].query == ""


async def test_the_model_that_is_named_writes(api: ApiHarness, writers: Writers) -> None:
    other = PlannerDescription(engine="pt", models=("lm-b",), mock=False, deployment="Planner-b")
    api.service.deploy = Deployed((MOCK_LM, other), (TURBO,), ready=True)
    for name in ("checkpoints/lm-b", None):
        await api.http.post("/format_input", json={"prompt": "x", "lm_model_path": name})
    assert [(planner, asked.model) for planner, asked in writers.asked] == [
        ("Planner-b", "lm-b"),
        ("Planner", ""),
    ]


async def test_a_seed_is_used_if_it_is_meant(api: ApiHarness, writers: Writers) -> None:
    for fields in ({"seed": 7, "use_random_seed": False}, {}, {}):
        await api.http.post("/v1/create_sample", json={"query": "x", **fields})
    first, second, third = (asked.seed for _, asked in writers.asked)
    assert first == 7 and second != third


@pytest.mark.parametrize("path", ROUTES)
async def test_without_a_planner_the_error_has_upstreams_form(
    make_api: MakeHarness, path: str
) -> None:
    api = await make_api()
    answer = await api.http.post(path, json={"prompt": "x"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["code"], body["data"]) == (500, None)
    assert body["error"] == "No language model is deployed."


@pytest.mark.parametrize("path", ROUTES)
async def test_what_the_language_model_cannot_write_has_upstreams_form(
    api: ApiHarness, writers: Writers, path: str
) -> None:
    writers.usual = (PlannerError("The lyrics are too long."),)
    body = (await api.http.post(path, json={"prompt": "x"})).json()
    assert (body["code"], body["data"], body["error"]) == (500, None, "The lyrics are too long.")


async def test_a_planner_that_dies(api: ApiHarness, writers: Writers) -> None:
    writers.usual = (WorkerLost("The actor died."),)
    answer = await api.http.post("/format_input", json={"prompt": "x"})
    problem = problem_of(answer, 503, "unavailable")
    assert "actor" not in problem["detail"] and answer.headers["retry-after"]


async def test_before_anything_is_known_the_planner_is_asked(
    api: ApiHarness, writers: Writers
) -> None:
    """It may have no replica yet, and the call starts one."""
    api.service.deploy = NOTHING
    data_of(await api.http.post("/format_input", json={"prompt": "x"}))
    assert writers.asked[0][0] == "Planner"


async def test_a_random_description(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, song in enumerate(EXAMPLE_SONGS):
        monkeypatch.setattr("random.choice", lambda songs, number=number: songs[number])
        for body in ({}, {"sample_type": "simple_mode"}):
            data = data_of(await api.http.post("/create_random_sample", json=body))
            assert data == {
                "description": song.description,
                "instrumental": song.instrumental,
                "vocal_language": song.language,
            }


async def test_random_songs_are_legal_requests(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(len(EXAMPLE_SONGS)):
        monkeypatch.setattr("random.choice", lambda songs, number=number: songs[number])
        answer = await api.http.post("/create_random_sample", data={"sample_type": "custom_mode"})
        data = data_of(answer)
        released = data_of(await api.http.post("/release_task", json={**data, "thinking": True}))
        song = (await api.stored(released["task_id"])).decode
        assert (song.caption, song.lyrics) == (data["caption"], data["lyrics"])
        assert (song.bpm, song.key_scale) == (data["bpm"], data["key_scale"])
        assert (song.duration, song.time_signature) == (data["duration"], data["time_signature"])
        assert song.vocal_language == data["vocal_language"]


def test_the_examples_are_many_and_in_several_languages() -> None:
    assert len(EXAMPLE_SONGS) >= 12
    assert len({song.language for song in EXAMPLE_SONGS}) >= 7
    assert {song.instrumental for song in EXAMPLE_SONGS} == {True, False}


async def test_audio_codes_are_understood(api: ApiHarness, writers: Writers) -> None:
    fields = {
        "audio_codes": "<|audio_code_5|><|audio_code_63999|>",
        "seed": 3,
        "use_random_seed": 0,
    }
    data = data_of(await api.http.post("/v1/understand", json=fields))
    assert (data["caption"], data["lyrics"], data["bpm"]) == (TEXT.caption, TEXT.lyrics, 84)
    ((planner, asked),) = writers.asked
    assert planner == "Planner"
    assert (asked.kind, asked.codes, asked.seed) == ("understand", (5, 63_999), 3)


@pytest.mark.parametrize(
    "fields", [{}, {"audio_codes": "64000"}, {"audio_codes": "la"}, {"audio_codes": ["1", "2"]}]
)
async def test_without_the_codes_of_one_take_nothing_is_understood(
    api: ApiHarness, writers: Writers, fields: dict[str, object]
) -> None:
    answer = await api.http.post("/v1/understand", json=fields)
    problem = problem_of(answer, 422, "invalid_value")
    assert [error["field"] for error in problem["errors"]] == ["audio_code_string"]
    assert writers.asked == []


async def test_codes_for_other_texts_are_not_sent_to_the_language_model(
    api: ApiHarness, writers: Writers
) -> None:
    await api.http.post("/v1/create_sample", json={"query": "x", "audio_codes": "1 2"})
    ((_, asked),) = writers.asked
    assert asked.codes == ()


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"bpm": "fast"}, "The language model chooses it."),
        ({"duration": "long"}, "The language model chooses it."),
        ({"language": "klingon"}, "The language model chooses it."),
        ({"temperature": 9}, "0.85 is used."),
        ({"instrumental": "maybe"}, "instrumental must be true or false. false is used."),
        ({"query": "rain", "desc": "sun"}, "desc is not used: query came too."),
        ({"query": "rain", "metas": {"desc": "sun"}}, "metas.desc is not used: query came too."),
        (
            {"lm_temperature": 0.5, "temperature": 0.9},
            "temperature is not used: lm_temperature came too.",
        ),
        ({"lm_model_path": "other-1B"}, " is used."),
    ],
)
async def test_what_is_not_used_is_named_with_what_is(
    api: ApiHarness, fields: dict[str, Any], warning: str
) -> None:
    (found,) = data_of(await api.http.post("/v1/create_sample", json=fields))["warnings"]
    assert found.endswith(warning)


async def test_fields_in_objects_of_nested_objects(api: ApiHarness, writers: Writers) -> None:
    metas = {"bpm": "90 BPM", "duration": "1:30", "language": "French", "query": "rain"}
    fields = {"param_obj": {"metas": json.dumps(metas)}}
    data = data_of(await api.http.post("/v1/create_sample", json=fields))
    ((_, asked),) = writers.asked
    assert (asked.bpm, asked.duration, asked.vocal_language) == (90, 90.0, "fr")
    assert asked.query == "rain" and data["warnings"] == []
