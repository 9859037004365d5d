"""The names that other clients use for our fields."""

from typing import Any

import pytest

from acestep_ray.api.request.aliases import ALIASES, camel
from acestep_ray.api.request.generate_request import FIELDS
from tests.unit.api.harness import URL, ApiHarness, field_errors, warnings_of

OTHER_NAMES: list[tuple[str, Any, str, Any]] = [
    ("prompt", "jazz", "caption", "jazz"),
    ("duration", 20, "duration", 20),
    ("audioDuration", 20, "duration", 20),
    ("target_duration", 20, "duration", 20),
    ("keyscale", "Am", "key_scale", "A minor"),
    ("keyScale", "Am", "key_scale", "A minor"),
    ("timesignature", "3/4", "time_signature", "3"),
    ("timeSignature", 3, "time_signature", "3"),
    ("language", "ja", "vocal_language", "ja"),
    ("vocalLanguage", "ja", "vocal_language", "ja"),
    ("audioFormat", "wav", "audio_format", "wav"),
    ("inferenceSteps", 4, "steps", 4),
    ("guidanceScale", 3, "guidance_scale", 3),
    ("audioCodeString", "<|audio_code_7|>", "codes", ((7,),)),
    ("useTiledDecode", False, "use_tiled_decode", False),
]


@pytest.mark.parametrize(("alias", "value", "attribute", "stored"), OTHER_NAMES)
async def test_other_names(
    api: ApiHarness, alias: str, value: Any, attribute: str, stored: Any
) -> None:
    assert getattr((await api.spec(**{"caption": None, alias: value})).decode, attribute) == stored
    form = await api.http.post(URL, data={alias: str(value).lower() if value is False else value})
    assert getattr((await api.stored(form.json()["job_id"])).decode, attribute) == stored


@pytest.mark.parametrize("lm", ["thinking", "use5hzLm", "use5HzLm"])
async def test_other_names_of_the_lm(api: ApiHarness, lm: str) -> None:
    spec = await api.spec(**{lm: True, "lmTopK": 7, "lmNegativePrompt": "noise"})
    assert spec.plan and (spec.plan.top_k, spec.plan.negative_prompt) == (7, "noise")


def test_every_field_has_its_camel_case_name() -> None:
    for name in FIELDS:
        assert camel(name) == name or camel(name) in ALIASES[name]
    taken = [alias for aliases in ALIASES.values() for alias in aliases]
    assert len(taken) == len(set(taken)) and not set(taken) & set(ALIASES)


async def test_the_first_name_wins(api: ApiHarness) -> None:
    answer = await api.submit(prompt="second", caption="first", duration=20, audioDuration=30)
    spec = await api.stored(answer.json()["job_id"])
    assert (spec.decode.caption, spec.decode.duration) == ("first", 20)
    reported = warnings_of(answer)
    assert "prompt is not used: caption came too." in reported
    assert "audioDuration is not used: duration came too." in reported


async def test_a_null_first_name_leaves_it_to_the_second(api: ApiHarness) -> None:
    assert (await api.spec(caption=None, prompt="jazz")).decode.caption == "jazz"
    form = await api.http.post(URL, data={"caption": "", "prompt": "jazz"})
    assert (await api.stored(form.json()["job_id"])).decode.caption == "jazz"


async def test_an_error_names_the_field_and_the_name_it_came_under(api: ApiHarness) -> None:
    errors = field_errors(await api.submit(duration=1000, metas={"bpm": 5}))
    assert errors["audio_duration"].startswith("audio_duration (sent as duration) must be ")
    assert errors["bpm"].startswith("bpm (sent as metas.bpm) must be ")


METAS = {"bpm": 90, "duration": 20, "keyscale": "Am", "timesignature": "3", "language": "ja"}


@pytest.mark.parametrize("name", ["metas", "metadata", "user_metadata", "userMetadata"])
async def test_nested_metadata(api: ApiHarness, name: str) -> None:
    spec = await api.spec(**{name: METAS})
    assert (spec.decode.bpm, spec.decode.duration, spec.decode.key_scale) == (90, 20, "A minor")
    assert (spec.decode.time_signature, spec.decode.vocal_language) == ("3", "ja")


async def test_nested_metadata_as_text_in_a_form(api: ApiHarness) -> None:
    form = await api.http.post(URL, data={"metas": '{"bpm": 90, "keyscale": "Am"}'})
    spec = await api.stored(form.json()["job_id"])
    assert (spec.decode.bpm, spec.decode.key_scale) == (90, "A minor")


@pytest.mark.parametrize("unknown", ["N/A", "n/a", " N/a\n"])
async def test_what_is_not_available_in_nested_metadata_is_not_sent(
    api: ApiHarness, unknown: str
) -> None:
    names = ("bpm", "duration", "keyscale", "timesignature", "language")
    answer = await api.submit(caption="pop", metas=dict.fromkeys(names, unknown))
    assert "warnings" not in answer.json()
    spec = await api.stored(answer.json()["job_id"])
    assert (
        spec.decode.bpm,
        spec.decode.duration,
        spec.decode.key_scale,
        spec.decode.time_signature,
    ) == (None, None, "", "")
    assert spec.decode.vocal_language == "en"


async def test_the_metas_of_a_result_can_be_sent_back(api: ApiHarness) -> None:
    metas = {"bpm": 90, "duration": 20.0, "genres": "N/A", "keyscale": "N/A", "timesignature": ""}
    answer = await api.submit(metas=metas)
    spec = await api.stored(answer.json()["job_id"])
    assert (
        spec.decode.bpm,
        spec.decode.duration,
        spec.decode.key_scale,
        spec.decode.time_signature,
    ) == (90, 20, "", "")
    assert "warnings" not in answer.json()


async def test_plain_fields_win_over_nested_ones(api: ApiHarness) -> None:
    answer = await api.submit(bpm=100, metas={"bpm": 90, "mood": "sad"}, metadata={"bpm": 80})
    assert (await api.stored(answer.json()["job_id"])).decode.bpm == 100
    reported = warnings_of(answer)
    assert "metas.bpm is not used: bpm came too." in reported
    assert "metadata.bpm is not used" in reported and "metas.mood" in reported


@pytest.mark.parametrize("value", [5, [], "text", "[1]", True, "[" * 100_000])
async def test_nested_metadata_that_is_no_object(api: ApiHarness, value: Any) -> None:
    assert "metas" in field_errors(await api.submit(metas=value))


async def test_later_fields_that_ask_for_nothing_are_no_matter(api: ApiHarness) -> None:
    answer = await api.submit(useFormat=False, sample_query="", sampleMode="no")
    assert "warnings" not in answer.json()
