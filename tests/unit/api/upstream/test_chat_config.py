"""POST /v1/chat/completions: fields that have another place or name than in /release_task."""

import json
from typing import Any

import pytest

from tests.unit.api.harness import ApiHarness
from tests.unit.api.upstream.chats import chat, complete, events_of

TEXT = "<prompt>jazz</prompt>"
PLAIN: dict[str, Any] = {"bpm": 90, "duration": "30s", "format": "wav", "key_scale": "Am"}


async def song(api: ApiHarness, **fields: object) -> tuple[dict[str, Any], list[str]]:
    """What the decoder would get, and the warnings of the response, which the job has too."""
    answer = await complete(api, chat(TEXT, **fields))
    assert answer.status_code == 200, answer.text
    spec = await api.stored(answer.json()["job_id"])
    warnings: list[str] = answer.json()["warnings"]
    assert warnings == list(spec.warnings)
    return dict(spec.decode), warnings


@pytest.mark.parametrize("as_text", [True, False])
async def test_audio_config_as_an_object_or_its_text(api: ApiHarness, as_text: bool) -> None:
    config = json.dumps(PLAIN) if as_text else PLAIN
    decode, warnings = await song(api, audio_config=config)
    values = [decode[name] for name in ("bpm", "duration", "audio_format", "key_scale")]
    assert (values, warnings) == ([90, 30, "wav", "A minor"], [])


@pytest.mark.parametrize("config", ["{", "fast", 5, [1], True, "[]x"])
@pytest.mark.parametrize("name", ["audio_config", "audio"])
async def test_what_is_no_object_is_not_dropped_in_silence(
    api: ApiHarness, name: str, config: object
) -> None:
    _, warnings = await song(api, **{name: config})
    assert warnings == [f"{name} is not an object or its JSON text, and not used."]


@pytest.mark.parametrize("nothing", [None, "", {}, "null", []])
async def test_objects_that_were_not_sent(api: ApiHarness, nothing: object) -> None:
    fields = {"audio_config": nothing, "audio": nothing, "n": None, "metadata": nothing}
    assert (await song(api, **fields))[1] == []


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"bpm": 80, "audio_config": {"bpm": 90}},
         ["audio_config.bpm is not used: bpm came too."]),
        ({"duration": 20, "bpm": 80, "audio_config": {"audio_duration": 30}},
         ["audio_config.audio_duration is not used: duration came too."]),
        ({"audio_duration": 20, "bpm": 80, "audio_config": {"duration": 30, "bpm": "80"}},
         ["audio_config.duration is not used: audio_duration came too."]),
        ({"bpm": 80, "audio_config": {"bpm": "N/A", "keyscale": "Am"}}, []),
        ({"audio_config": {"bpm": 80, "duration": 20, "audio_duration": 30}},
         ["audio_config.audio_duration is not used: audio_duration came too."]),
        ({"bpm": 80, "metas": {"bpm": 91}}, ["metas.bpm is not used: bpm came too."]),
        ({"bpm": 80, "lm_temperature": 0.5, "temperature": 0.9},
         ["temperature is not used: lm_temperature came too."]),
    ],
)  # fmt: skip
async def test_of_two_values_the_used_one_is_named(
    api: ApiHarness, fields: dict[str, Any], warnings: list[str]
) -> None:
    decode, found = await song(api, **fields)
    assert (decode["bpm"], found) == (80, warnings)


@pytest.mark.parametrize(
    ("fields", "takes", "warnings"),
    [
        ({}, 1, []),
        ({"n": 2}, 2, []),
        ({"n": "3"}, 3, []),
        ({"n": 1}, 1, []),
        ({"n": 2, "batch_size": 2}, 2, []),
        ({"n": 2, "batch_size": 3}, 3, ["n is not used: batch_size came too."]),
        ({"n": 2, "batchSize": 3}, 3, ["n is not used: batchSize came too."]),
        ({"n": 2, "audio_config": {"batch_size": 3}}, 3, ["n is not used: batch_size came too."]),
        ({"n": 2, "param_obj": {"batch_size": 3}}, 3,
         ["n is not used: param_obj.batch_size came too."]),
        ({"param_obj": {"batch_size": 3}}, 3, []),
        ({"n": 20}, 8, ["batch_size is at most 8: 8 is used, not 20."]),
    ],
)  # fmt: skip
async def test_how_many_takes(
    api: ApiHarness, fields: dict[str, Any], takes: int, warnings: list[str]
) -> None:
    decode, found = await song(api, **fields)
    assert (len(decode["seeds"]), found) == (takes, warnings)


@pytest.mark.parametrize(
    ("fields", "format", "warnings"),
    [
        ({"audio": {"format": "wav"}}, "wav", []),
        ({"audio": '{"format": "FLAC"}'}, "flac", []),
        ({"audio": {"format": "wav", "voice": "alloy"}}, "wav",
         ["Not used for a song: audio.voice."]),
        ({"audio": {"format": "wav"}, "audio_format": "flac"}, "flac",
         ["audio.format is not used: audio_format came too."]),
        ({"audio": {"format": "wav"}, "audio_config": {"format": "flac"}}, "flac",
         ["audio.format is not used: audio_format came too."]),
    ],
)  # fmt: skip
async def test_the_format(
    api: ApiHarness, fields: dict[str, Any], format: str, warnings: list[str]
) -> None:
    decode, found = await song(api, **fields)
    assert (decode["audio_format"], found) == (format, warnings)


@pytest.mark.parametrize("where", ["param_obj", "audio_config", "metas"])
async def test_a_seed_is_used_wherever_it_is_sent(api: ApiHarness, where: str) -> None:
    decode, warnings = await song(api, **{where: {"seed": 5}})
    assert (decode["seeds"], warnings) == ((5,), [])
    decode, _ = await song(api, seed=5, useRandomSeed=True)
    assert decode["seeds"] != (5,)


@pytest.mark.parametrize("name", ["model", "model_name", "ditModel"])
async def test_models_are_named_as_they_are_listed(api: ApiHarness, name: str) -> None:
    _, warnings = await song(api, **{name: "acestep/acestep-v15-turbo"})
    assert warnings == []


async def test_notes_of_a_client_that_look_like_a_song(api: ApiHarness) -> None:
    assert (await song(api, metadata={"user": "7"}))[1] == []
    _, (warning,) = await song(api, metadata={"bpm": 90, "user": "7"})
    assert "metadata.bpm" in warning and "user" not in warning and "audio_config" in warning


@pytest.mark.parametrize("value", ["maybe", 2, {"a": 1}, [True]])
async def test_a_word_that_does_not_decide_on_a_stream(api: ApiHarness, value: object) -> None:
    _, warnings = await song(api, stream=value)
    assert warnings == ["stream must be true or false: the response is not streamed."]


@pytest.mark.parametrize("value", [False, "no", "n", 0, None, ""])
async def test_words_for_no_stream(api: ApiHarness, value: object) -> None:
    assert (await song(api, stream=value))[1] == []


@pytest.mark.parametrize("value", [True, "y", "TRUE", 1])
async def test_words_for_a_stream(api: ApiHarness, value: object) -> None:
    answer = await complete(api, chat(TEXT, stream=value))
    assert events_of(answer.text)[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_warning_is_one_line(api: ApiHarness) -> None:
    """Its text is stored and logged; the name is the client's."""
    _, warnings = await song(api, **{"a\nb": 1, "audio_config": {"a\nb": 2}})
    assert len(warnings) == 2 and "\n" not in "".join(warnings)
