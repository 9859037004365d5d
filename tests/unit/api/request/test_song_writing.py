"""Songs whose text the language model writes: what the job stores, and what is refused.

A value whose loss would make it another song is never left out with a mere warning.
"""

from typing import Any

import pytest

from acestep_ray.jobs.engine_requests import plan_request
from acestep_ray.planner.protocol import Writing
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import (
    NOTHING,
    TURBO,
    URL,
    ApiHarness,
    field_errors,
    problem_of,
    warnings_of,
)

CODES = "<|audio_code_1|>" * 50


def sample(query: str = "", *, instrumental: bool = False) -> Writing:
    return Writing(kind="sample", query=query, instrumental=instrumental)


@pytest.mark.parametrize(
    ("fields", "writing"),
    [
        ({"sample_query": " a song about rain "}, sample("a song about rain")),
        ({"description": "rain", "sample_mode": True}, sample("rain")),
        ({"sample_mode": True}, sample()),
        ({"sample_mode": "yes", "sample_query": " "}, sample()),
        ({"sample_query": "rain", "sample_mode": False}, sample("rain")),
        ({"sample_query": "rain", "instrumental": True}, sample("rain", instrumental=True)),
        ({"sample_query": "rain", "lyrics": "[Instrumental]"}, sample("rain", instrumental=True)),
        ({"sample_query": "rain", "lyrics": " \n"}, sample("rain")),
        ({"use_format": True, "caption": "jazz"}, Writing(kind="format")),
        ({"format": "true", "lyrics": "la la"}, Writing(kind="format")),
    ],
)
@pytest.mark.parametrize("codes_too", [True, False])
async def test_what_the_lm_writes(
    api: ApiHarness, fields: dict[str, Any], writing: Writing, codes_too: bool
) -> None:
    """With use_5hz_lm it writes codes too, without it only text and metadata."""
    answer = await api.submit(**{"caption": None, **fields, "use_5hz_lm": codes_too})
    assert warnings_of(answer) == ""
    spec = await api.stored(answer.json()["job_id"])
    assert spec.plan and spec.plan.writing == writing
    assert spec.plan.infer_type == ("llm_dit" if codes_too else "dit")
    assert spec.needs_plan and api.service.submits[-1].needs_plan
    assert spec.from_description is (writing.kind == "sample")


async def test_in_a_form(api: ApiHarness) -> None:
    data = {"description": "rain", "sample_mode": "1", "caption": "", "format": "mp3"}
    answer = await api.http.post(URL, data=data)
    spec = await api.stored(answer.json()["job_id"])
    assert spec.plan and spec.plan.writing == sample("rain")
    assert warnings_of(answer) == "Unknown fields, ignored: format."


async def test_the_values_of_the_user_are_given_to_the_lm(api: ApiHarness) -> None:
    spec = await api.spec(
        caption=None, sample_query="rain", bpm=90, key_scale="Am", time_signature="3",
        audio_duration=30, vocal_language="ja", lm_temperature=0.9, lm_top_p=0.8, lm_top_k=7,
        lm_model_path="acestep-5Hz-lm-4B",
    )  # fmt: skip
    request = plan_request("job", 1, spec, api.settings)
    assert (request.bpm, request.key_scale, request.time_signature) == (90, "A minor", "3")
    assert (request.duration, request.vocal_language) == (30, "ja")
    assert (request.temperature, request.top_p, request.top_k) == (0.9, 0.8, 7)
    assert request.model == "acestep-5Hz-lm-4B"
    assert spec.decode.bpm == 90 and spec.warnings == ()


async def test_a_list_of_jobs_shows_the_description(api: ApiHarness) -> None:
    await api.submit(caption=None, sample_query="a sad song about rain")
    (job,) = (await api.http.get("/v1/jobs")).json()["jobs"]
    assert job["caption"] == "a sad song about rain"


@pytest.mark.parametrize("asked", [{"sample_query": "rain"}, {"sample_mode": True}])
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"caption": "jazz"}, "caption"),
        ({"caption": None, "lyrics": "la la"}, "lyrics"),
        ({"caption": "jazz", "lyrics": "la la"}, "caption and lyrics"),
    ],
)
async def test_a_sample_would_replace_what_was_sent(
    api: ApiHarness, asked: dict[str, Any], given: dict[str, Any], named: str
) -> None:
    (name,) = asked
    errors = field_errors(await api.submit(**asked, **given))
    assert list(errors) == [name] and f"contradicts {named}:" in errors[name]
    assert await api.queued() == 0


@pytest.mark.parametrize("asked", [{"sample_query": "rain"}, {"sample_mode": 1}, {"format": "1"}])
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"task_type": "cover", "audio_code_string": CODES}, "text2music only"),
        ({"task_type": "cover"}, "text2music only"),
        ({"task_type": "repaint"}, "text2music only"),
        ({"audio_code_string": CODES}, "contradicts audio_code_string"),
    ],
)
async def test_where_the_lm_writes_nothing_it_is_refused(
    api: ApiHarness, asked: dict[str, Any], more: dict[str, Any], named: str
) -> None:
    """A mere warning would make a song that was not asked for."""
    errors = field_errors(await api.submit(**{"caption": None, **asked, **more}))
    (name,) = asked
    name = {"format": "use_format"}.get(name, name)
    assert named in errors[name] and set(errors) <= {name, "src_audio_path"}
    assert await api.queued() == 0


async def test_with_a_sample_use_format_has_nothing_to_do(api: ApiHarness) -> None:
    answer = await api.submit(caption=None, sample_query="rain", use_format=True)
    assert warnings_of(answer).startswith("use_format is not used: the LM writes the text")
    spec = await api.stored(answer.json()["job_id"])
    assert spec.plan and spec.plan.writing == sample("rain")


async def test_a_format_of_nothing_is_reported(api: ApiHarness) -> None:
    reported = warnings_of(await api.submit(caption=None, use_format=True))
    assert "Nothing says what the song is about" in reported


async def test_instrumental_without_a_sample(api: ApiHarness) -> None:
    for lyrics in ("", "[Instrumental]", None):
        assert warnings_of(await api.submit(instrumental=True, lyrics=lyrics)) == ""
    for body in ({"lyrics": "la"}, {"metas": {"lyrics": "la"}}, {"lyrics": "la", "use_format": 1}):
        errors = field_errors(await api.submit(instrumental=True, **body))
        assert "leave lyrics empty" in errors["instrumental"]


async def test_fields_of_the_lm_that_have_no_effect_are_named(api: ApiHarness) -> None:
    asked: dict[str, Any] = {"caption": None, "sample_query": "rain"}
    codes = {"lm_cfg_scale": 2, "lm_negative_prompt": "noise", "lm_repetition_penalty": 1.1}
    assert warnings_of(await api.submit(**asked, **codes, lm_temperature=1)) == (
        "Not used without use_5hz_lm: lm_cfg_scale, lm_negative_prompt, lm_repetition_penalty."
    )
    assert warnings_of(await api.submit(**asked, **codes, use_5hz_lm=True)) == ""
    reported = warnings_of(await api.submit(**asked, use_cot_caption=True, use_cot_language=True))
    assert "where the LM writes the whole text: use_cot_caption, use_cot_language." in reported
    spec = await api.spec(**asked, use_cot_language=False)
    assert spec.plan and spec.plan.use_cot_language is False and spec.warnings == ()


async def test_a_language_of_the_codes_without_the_lm(api: ApiHarness) -> None:
    reported = warnings_of(await api.submit(use_cot_language=False))
    assert reported == "Not used without use_5hz_lm: use_cot_language."


@pytest.mark.parametrize("asked", [{"sample_query": "rain", "caption": None}, {"use_format": True}])
async def test_a_length_that_the_lm_cannot_write(api: ApiHarness, asked: dict[str, Any]) -> None:
    errors = field_errors(await api.submit(**asked, audio_duration=5))
    assert "from 10 to 600" in errors["audio_duration"]
    assert next(iter(asked)) in errors["audio_duration"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"caption": None, "sample_query": "rain"}, "sample_query needs the language model. "),
        ({"caption": None, "sample_mode": True}, "sample_mode needs the language model. "),
        ({"use_format": True}, "use_format needs the language model. "),
        ({"use_5hz_lm": True}, ""),
    ],
)
async def test_without_a_planner(api: ApiHarness, fields: dict[str, Any], named: str) -> None:
    api.service.deploy = NOTHING.__class__((), (TURBO,), ready=False)
    answer = await api.submit(**fields)
    detail = problem_of(answer, 503, "not_ready")["detail"]
    assert detail == f"{named}No planner is up yet; try again in a few seconds."
    assert answer.headers["retry-after"] and await api.queued() == 0


async def test_a_contradiction_is_an_error_with_or_without_a_planner(api: ApiHarness) -> None:
    api.service.deploy = NOTHING.__class__((), (TURBO,), ready=False)
    assert "sample_query" in field_errors(await api.submit(sample_query="rain"))


async def test_the_same_sample_under_one_key_is_one_job(make_api: MakeHarness) -> None:
    api = await make_api()
    headers = {"Idempotency-Key": "a song"}
    body = {"sample_query": "rain"}
    first, again = [await api.http.post(URL, json=body, headers=headers) for _ in range(2)]
    assert first.json()["job_id"] == again.json()["job_id"]
    other = await api.http.post(URL, json={"sample_query": "snow"}, headers=headers)
    problem_of(other, 422, "idempotency_key_reused")
