"""What the language model does for a task: it writes the song, or completes what was sent."""

from typing import Any

import pytest

from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.planner.length_check import PlanFit
from acestep_ray.planner.protocol import PlannerDescription, PlanRequest
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import MOCK_LM, TURBO, ApiHarness, problem_of
from tests.unit.api.upstream.tasks import Engines, release

CODES = "<|audio_code_7|>" * 50
METADATA = {"bpm": 90, "key_scale": "Am", "time_signature": 4, "audio_duration": 20}
NO_PLANNER = Deployed((), (TURBO,), ready=True)
AT_REST = Deployed((MOCK_LM,), (TURBO,), ready=True)
"""A planner that is started when a job needs it."""


def texts(sent: Engines) -> tuple[Any, ...]:
    """What is written, from what, and what was sent of it."""
    writing = sent.plan["writing"]
    return (writing.kind, writing.query, sent.plan["lyrics"]) if writing else (None,)


@pytest.mark.parametrize(
    ("fields", "expected", "warned"),
    [
        ({"sample_query": "rain"}, ("sample", "rain", ""), ""),
        ({"sample_mode": True}, ("sample", "", ""), ""),
        ({"sample_mode": True, "description": "rain"}, ("sample", "rain", ""), ""),
        ({"sample_query": "rain", "use_format": True}, ("sample", "rain", ""), ""),
        ({"sample_query": "rain", "prompt": "jazz"}, ("sample", "rain", ""), "prompt is not used"),
        ({"sample_query": "rain", "lyrics": "la"}, ("sample", "rain", ""), "lyrics are not used"),
        ({"sample_mode": "y", "prompt": "jazz"}, ("sample", "jazz", ""), "song from prompt"),
        ({"sample_query": "rain", "lyrics": "[inst]"}, ("sample", "rain", "[inst]"), ""),
        ({"prompt": "jazz", "lyrics": "la", "use_format": 1}, ("format", "", "la"), ""),
        ({"prompt": "jazz", "use_format": True, "sample_query": ""}, ("format", "", ""), ""),
        ({"sample_query": "rain", "use_cot_caption": True}, ("sample", "rain", ""), ""),
        ({"sample_query": "rain", "cot_language": "y"}, ("sample", "rain", ""), ""),
    ],
)
@pytest.mark.parametrize("thinking", [True, False])
async def test_what_the_lm_writes(
    api: ApiHarness, fields: dict[str, Any], expected: tuple[str, ...], warned: str, thinking: bool
) -> None:
    sent = await release(api, thinking=thinking, **fields)
    assert texts(sent) == expected
    assert sent.plan["infer_type"] == ("llm_dit" if thinking else "dit")
    assert warned in sent.warnings and bool(warned) is bool(sent.warnings)


@pytest.mark.parametrize("lyrics", ["", "la la"])
async def test_an_instrumental_sample(api: ApiHarness, lyrics: str) -> None:
    sent = await release(api, sample_query="rain", instrumental="y", lyrics=lyrics)
    assert sent.plan["instrumental"] is True
    assert ("lyrics are not used" in sent.warnings) is bool(lyrics)


async def test_instrumental_wins_over_lyrics(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", lyrics="la la", instrumental=True)
    assert sent.decode["lyrics"] == "" and "instrumental" in sent.warnings


async def test_the_defaults_of_writing_are_upstreams(api: ApiHarness) -> None:
    sent = await release(api, sample_query="rain", **METADATA)
    plan = {name: sent.plan[name] for name in ("temperature", "top_p", "top_k", "vocal_language")}
    assert plan == {"temperature": 0.85, "top_p": 0.9, "top_k": None, "vocal_language": "en"}
    assert (sent.plan["use_cot_caption"], sent.plan["use_cot_language"]) == (False, None)
    forced = ("bpm", "key_scale", "time_signature", "duration")
    assert [sent.plan[name] for name in forced] == [90, "A minor", "4", 20]


@pytest.mark.parametrize("fields", [{"sample_query": "rain"}, {"sample_mode": True}])
@pytest.mark.parametrize("thinking", [True, False])
async def test_a_sample_without_a_planner_is_refused(
    api: ApiHarness, fields: dict[str, Any], thinking: bool
) -> None:
    """Nothing would describe the song."""
    api.service.deploy = NO_PLANNER
    answer = await api.http.post("/release_task", json={**fields, "thinking": thinking})
    detail = problem_of(answer, 503, "not_ready")["detail"]
    assert thinking or detail.startswith(f"{next(iter(fields))} needs the language model.")
    assert await api.queued() == 0


async def test_a_format_without_a_planner(api: ApiHarness) -> None:
    api.service.deploy = NO_PLANNER
    sent = await release(api, prompt="jazz", lyrics="la", use_format=True)
    assert (sent.plan, sent.decode["lyrics"]) == ({}, "la")
    assert sent.warnings == (
        "use_format needs the language model, and none is deployed: the texts are used as sent."
    )


@pytest.mark.parametrize("deployed", [AT_REST, Deployed((MOCK_LM,), (TURBO,), ready=False)])
async def test_a_planner_is_started_for_a_text(api: ApiHarness, deployed: Deployed) -> None:
    api.service.deploy = deployed
    assert texts(await release(api, prompt="jazz", use_format=True)) == ("format", "", "")
    assert texts(await release(api, description="rain")) == ("sample", "rain", "")


@pytest.mark.parametrize("more", [{"task_type": "cover"}, {}])
async def test_what_is_not_a_new_song(api: ApiHarness, more: dict[str, Any]) -> None:
    """A description is never lost, and use_format, which a client sends always, stops no cover."""
    song = {"audio_codes": CODES, **more}
    sent = await release(api, use_format=True, prompt="jazz", **song)
    assert (sent.plan, sent.decode["caption"]) == ({}, "jazz") and "use_format" in sent.warnings
    sent = await release(api, description="rain", **song)
    assert (sent.plan, sent.decode["caption"]) == ({}, "rain")
    assert "its text is used as the caption" in sent.warnings
    sent = await release(api, description="rain", sample_mode=True, prompt="jazz", **song)
    assert sent.decode["caption"] == "jazz" and "what was sent" in sent.warnings


async def test_a_description_that_is_no_text(api: ApiHarness) -> None:
    answer = await api.http.post("/release_task", json={"description": {"mood": "sad"}})
    assert "sample_query" in problem_of(answer, 422, "invalid_value")["detail"]


@pytest.mark.parametrize("fail", [StoreUnavailable("gone"), None])
async def test_a_wrong_value_is_wrong_whatever_is_down(
    api: ApiHarness, fail: Exception | None
) -> None:
    api.service.deploy, api.service.fail = NO_PLANNER, fail
    body = {"sample_query": "rain", "task_type": "dance"}
    answer = await api.http.post("/release_task", json=body)
    assert "task_type" in problem_of(answer, 422, "invalid_value")["detail"]


# Without thinking, and without a text to write


async def test_a_new_song_gets_caption_and_metadata_of_the_lm(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", lyrics="la", lm_temperature=0.3, bpm=90)
    assert sent.warnings == "" and sent.plan["writing"] is None
    assert (sent.plan["infer_type"], sent.plan["use_cot_caption"]) == ("dit", True)
    assert sent.plan["use_cot_language"] is None
    assert (sent.plan["temperature"], sent.plan["bpm"]) == (0.3, 90)
    assert (sent.plan["caption"], sent.plan["lyrics"]) == ("jazz", "la")


@pytest.mark.parametrize(
    "fields",
    [METADATA, {"use_cot_caption": False}, {"cot_caption": "n", "cot_language": "y"},
     {"audio_codes": CODES, "use_cot_language": False},
     {"audio_duration": 5}, {"task_type": "cover", "audio_codes": CODES}],
)  # fmt: skip
async def test_where_the_lm_is_not_needed(api: ApiHarness, fields: dict[str, Any]) -> None:
    sent = await release(api, prompt="jazz", **fields)
    assert (sent.plan, sent.warnings) == ({}, "")


@pytest.mark.parametrize("deployed", [NO_PLANNER, AT_REST])
async def test_no_planner_is_started_for_it(api: ApiHarness, deployed: Deployed) -> None:
    api.service.deploy = deployed
    sent = await release(api, prompt="jazz")
    assert (sent.plan, sent.warnings, sent.decode["caption"]) == ({}, "", "jazz")


async def test_another_lm_than_the_one_that_is_up(api: ApiHarness) -> None:
    other = PlannerDescription(engine="pt", models=("lm-4B",), mock=False, deployment="Other")
    api.service.deploy = Deployed(
        (MOCK_LM, other), (TURBO,), ready=True, planner_slots={"Planner": 4}
    )
    assert (await release(api, prompt="jazz", lm_model_path="lm-4B")).plan == {}
    assert (await release(api, prompt="jazz")).plan["planner"] == "Planner"


async def test_a_song_that_is_too_long_for_the_lm_is_made_without_it(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a client that asks for the LM gets an error."""
    real = PlannerDescription(engine="pt", models=("lm-1B",), mock=False, deployment="Planner")
    api.service.deploy = Deployed((real,), (TURBO,), ready=True, planner_slots={"Planner": 1})
    asked: list[PlanRequest] = []

    def too_long(fit: PlanFit, request: PlanRequest) -> str:
        asked.append(request)
        return "It is too long."

    monkeypatch.setattr(PlanFit, "refusal", too_long)
    sent = await release(api, prompt="jazz", lyrics="la")
    assert (sent.plan, sent.warnings) == ({}, "") and asked[0].lyrics == "la"
    for field, body in (
        ("lyrics", {"prompt": "jazz", "thinking": True}),
        ("lyrics", {"prompt": "jazz", "use_format": True}),
        ("sample_query", {"sample_query": "rain"}),
    ):
        answer = await api.http.post("/release_task", json=body)
        assert problem_of(answer, 422, "invalid_value")["errors"][0]["field"] == field
