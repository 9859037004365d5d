"""Every field that a client of the reference server's later API can send: used, refused or warned
of.

A value that decides what a song is about is never ignored with a mere warning.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.api.request.aliases import ALIASES, NESTED, camel
from acestep_ray.api.request.unsupported_fields import IGNORED, REFUSED
from acestep_ray.jobs.spec import JobSpec
from tests.unit.api.harness import URL, ApiHarness, field_errors, warnings_of

DOCS = (Path(__file__).parents[4] / "docs" / "api.md").read_text()


def lm(name: str) -> Callable[[JobSpec], object]:
    return lambda spec: spec.plan and getattr(spec.plan, name)


def writing(name: str) -> Callable[[JobSpec], object]:
    return lambda spec: spec.plan and spec.plan.writing and getattr(spec.plan.writing, name)


# As sent -> what the job stores of it, under which parameter of the decoder.
SERVED: list[tuple[str, Any, str | Callable[[JobSpec], object], Any]] = [
    ("prompt", "jazz", "caption", "jazz"),
    ("caption", "jazz", "caption", "jazz"),
    ("tags", "jazz, piano", "caption", "jazz, piano"),
    ("lyrics", "la", "lyrics", "la"),
    ("thinking", True, lambda spec: spec.needs_plan, True),
    ("sample_query", "rain", writing("query"), "rain"),
    ("description", "rain", writing("query"), "rain"),
    ("desc", "rain", writing("query"), "rain"),
    ("sample_mode", True, writing("kind"), "sample"),
    ("use_format", True, writing("kind"), "format"),
    ("format", True, writing("kind"), "format"),
    ("bpm", 90, "bpm", 90),
    ("key_scale", "Am", "key_scale", "A minor"),
    ("keyscale", "Am", "key_scale", "A minor"),
    ("key", "Am", "key_scale", "A minor"),
    ("time_signature", "3", "time_signature", "3"),
    ("timesignature", "3", "time_signature", "3"),
    ("vocal_language", "ja", "vocal_language", "ja"),
    ("language", "ja", "vocal_language", "ja"),
    ("audio_duration", 20, "duration", 20),
    ("duration", 20, "duration", 20),
    ("target_duration", 20, "duration", 20),
    ("inference_steps", 4, "steps", 4),
    ("guidance_scale", 3, "guidance_scale", 3),
    ("batch_size", 3, lambda spec: len(spec.decode.seeds), 3),
    ("instruction", "Sing:", "instruction", "Sing:"),
    ("audio_code_string", "<|audio_code_7|>", "codes", ((7,),)),
    ("audio_codes", "<|audio_code_7|>", "codes", ((7,),)),
    ("audio_cover_strength", 0.5, "cover_strength", 0.5),
    ("cover_strength", 0.5, "cover_strength", 0.5),
    ("repainting_start", 1, "repaint_start", 1),
    ("repainting_end", 2, "repaint_end", 2),
    ("track_name", "bass", "track_name", "bass"),
    ("track_classes", "bass,drums", "track_classes", ("bass", "drums")),
    ("instruments", "bass,drums", "track_classes", ("bass", "drums")),
    ("shift", 2, "shift", 2),
    ("cfg_interval_start", 0.5, lambda spec: spec.decode.cfg_interval[0], 0.5),
    ("cfg_interval_end", 0.5, lambda spec: spec.decode.cfg_interval[1], 0.5),
    ("audio_format", "wav", "audio_format", "wav"),
    ("use_tiled_decode", False, "use_tiled_decode", False),
    ("use_cot_caption", True, lm("use_cot_caption"), True),
    ("cot_caption", True, lm("use_cot_caption"), True),
    ("cot-caption", True, lm("use_cot_caption"), True),
    ("use_cot_language", False, lm("use_cot_language"), False),
    ("cot_language", True, lm("use_cot_language"), True),
    ("cot-language", True, lm("use_cot_language"), True),
    ("model", "acestep-v15-turbo", "model", "acestep-v15-turbo"),
    ("model_name", "acestep-v15-turbo", "model", "acestep-v15-turbo"),
    ("dit_model", "acestep-v15-turbo", "model", "acestep-v15-turbo"),
    ("repaint_mode", "aggressive", "repaint_mode", "aggressive"),
    ("repaint_strength", 0.2, "repaint_strength", 0.2),
    ("chunk_mask_mode", "auto", "chunk_mask_mode", "auto"),
    ("cover_noise_strength", 0.5, "cover_noise_strength", 0.5),
    ("retake_variance", 0.1, "retake_variance", 0.1),
    ("infer_method", "sde", "infer_method", "sde"),
    ("sampler_mode", "heun", "sampler_mode", "heun"),
    ("timesteps", "1,0.5,0", "timesteps", (1.0, 0.5)),
    ("timesteps", "1,0.5,0.2,0", "steps", 3),
    ("velocity_norm_threshold", 2, "velocity_norm_threshold", 2),
    ("velocity_ema_factor", 0.1, "velocity_ema_factor", 0.1),
    ("latent_shift", 0.2, "latent_shift", 0.2),
    ("latent_rescale", 0.9, "latent_rescale", 0.9),
    ("use_adg", True, "use_adg", True),
    ("dcw_enabled", False, "dcw_enabled", False),
    ("dcw", False, "dcw_enabled", False),
    ("dcw_mode", "low", "dcw_mode", "low"),
    ("dcw_scaler", 0.1, "dcw_scaler", 0.1),
    ("dcw_high_scaler", 0.1, "dcw_high_scaler", 0.1),
    ("dcw_wavelet", "haar", "dcw_wavelet", "haar"),
    ("lm_temperature", 0.1, lm("temperature"), 0.1),
    ("lm_cfg_scale", 2.5, lm("cfg_scale"), 2.5),
    ("lm_top_k", 5, lm("top_k"), 5),
    ("lm_top_p", 0.9, lm("top_p"), 0.9),
    ("lm_repetition_penalty", 1.5, lm("repetition_penalty"), 1.5),
    ("lm_negative_prompt", "noise", lm("negative_prompt"), "noise"),
    ("lm_model_path", "acestep-5Hz-lm-4B", lm("model"), "acestep-5Hz-lm-4B"),
]
ASKING: dict[str, list[Any]] = {
    "analysis_only": [True, "true", 1, "1", "perhaps"],
    "full_analysis_only": ["on"],
    "extract_codes_only": [True],
}
LOST: dict[str, tuple[Any, ...]] = {
    "guidance_params": ({"eta": 1},),
    "constrained_decoding": (False,),
}
NO_MATTER: dict[str, tuple[Any, ...]] = {
    "constrained_decoding": (True, "true"),
    "repaint_latent_crossfade_frames": (10,),
    "repaint_wav_crossfade_sec": (0.5,),
    "is_format_caption": (True,),
    "allow_lm_batch": (True,),
    "parallel_thinking": (False,),
}


def base(name: str) -> dict[str, Any]:
    return {"thinking": True} if name.startswith("lm_") or "cot" in name else {}


@pytest.mark.parametrize(("name", "value", "attribute", "stored"), SERVED)
async def test_what_is_served(
    api: ApiHarness,
    name: str,
    value: Any,
    attribute: str | Callable[[JobSpec], object],
    stored: Any,
) -> None:
    bodies: list[dict[str, Any]] = [
        {spelling: value} for spelling in dict.fromkeys((name, camel(name)))
    ]
    bodies += [{nested: {name: value}} for nested in (*NESTED, "paramObj")]
    bodies.append({"param_obj": json.dumps({name: value})})
    for body in bodies:
        spec = await api.spec(**{"caption": None, **base(name), **body})
        found = attribute(spec) if callable(attribute) else getattr(spec.decode, attribute)
        assert found == stored, body


async def test_a_seed_is_served(api: ApiHarness) -> None:
    body = {"seed": "5,6", "use_random_seed": False}
    for sent in (body, {"param_obj": body}, {"param_obj": {"seed": "5,6"}, "useRandomSeed": "no"}):
        assert (await api.spec(**sent)).decode.seeds == (5, 6)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused(api: ApiHarness, name: str) -> None:
    for spelling in (name, camel(name)):
        for value in ASKING[name]:
            for body in (
                {spelling: value},
                {"metas": {spelling: value}},
                {"param_obj": json.dumps({spelling: value})},
            ):
                errors = field_errors(await api.submit(caption="x", lyrics="la", **body))
                assert set(errors) == {name}
                assert f"{spelling} is not served yet: {REFUSED[name]}." in errors[name]
            data = {"caption": "x", "lyrics": "la", spelling: str(value).lower()}
            assert set(field_errors(await api.http.post(URL, data=data))) == {name}
    assert await api.queued() == 0


@pytest.mark.parametrize("name", REFUSED)
async def test_what_would_be_refused_and_asks_for_nothing(api: ApiHarness, name: str) -> None:
    for spelling in (name, camel(name)):
        values: list[Any] = [False, "false", "no", 0, "0", None, []]
        for value in values:
            assert "warnings" not in (await api.submit(**{spelling: value})).json()
            assert "warnings" not in (await api.submit(metas={spelling: value})).json()


async def test_a_file_type_under_another_name_is_told(api: ApiHarness) -> None:
    assert warnings_of(await api.submit(format="wav")) == "Unknown fields, ignored: format."


@pytest.mark.parametrize("name", LOST)
async def test_what_only_shapes_the_sound_is_ignored_with_a_warning(
    api: ApiHarness, name: str
) -> None:
    for spelling in (name, camel(name)):
        for value in LOST[name]:
            reported = warnings_of(await api.submit(**{spelling: value}))
            assert reported == f"Not served yet, ignored: {spelling}."
            reported = warnings_of(await api.submit(param_obj={spelling: value}))
            assert reported == f"Not served yet, ignored: param_obj.{spelling}."


@pytest.mark.parametrize("name", NO_MATTER)
async def test_what_asks_for_what_is_done_anyway(api: ApiHarness, name: str) -> None:
    for value in NO_MATTER[name]:
        assert "warnings" not in (await api.submit(**{name: value})).json()


def test_the_table_is_whole() -> None:
    assert set(ASKING) == set(REFUSED)
    assert set(LOST) | set(NO_MATTER) == set(IGNORED)
    names = [*REFUSED, *IGNORED]
    ours = {*ALIASES, *(a for others in ALIASES.values() for a in others)}
    assert len(names) == len(set(names)) and ours.isdisjoint(names)


def test_the_docs_have_the_table() -> None:
    for name in (*REFUSED, *IGNORED, *NESTED):
        assert f"`{name}`" in DOCS, name


async def test_files_and_paths_under_their_later_names(api: ApiHarness) -> None:
    for name, field in (
        ("ctx_audio", "src_audio"),
        ("ctxAudio", "src_audio"),
        ("ref_audio", "reference_audio"),
        ("refAudio", "reference_audio"),
    ):
        files = {name: ("song.mp3", b"text")}
        answer = await api.http.post(URL, data={"caption": "x"}, files=files)
        assert f"{field} is refused" in field_errors(answer, "invalid_audio")[field]
        errors = field_errors(await api.submit(**{name: "song.mp3"}))
        assert f"{name} must be a file of a multipart/form-data body" in errors[field]
    for name, field in (
        ("ref_audio_path", "reference_audio_path"),
        ("refAudioPath", "reference_audio_path"),
        ("ctx_audio_path", "src_audio_path"),
        ("sourceAudioPath", "src_audio_path"),
    ):
        for body in ({name: "/etc/passwd"}, {"metas": {name: "/etc/passwd"}}):
            answer = await api.submit(**body)
            assert set(field_errors(answer, "invalid_audio")) == {field}


async def test_what_the_request_says_wins_over_nested_objects(api: ApiHarness) -> None:
    answer = await api.submit(
        caption="first",
        param_obj={"prompt": "second", "bpm": 90},
        metas={"bpm": 80, "lyrics": "la"},
    )
    spec = await api.stored(answer.json()["job_id"])
    assert (spec.decode.caption, spec.decode.bpm, spec.decode.lyrics) == ("first", 90, "la")
    reported = warnings_of(answer)
    assert "param_obj.prompt is not used: caption came too." in reported
    assert "metas.bpm is not used: param_obj.bpm came too." in reported


async def test_the_same_value_twice_loses_nothing(api: ApiHarness) -> None:
    answer = await api.submit(caption="x", prompt="x", metas={"prompt": "x", "bpm": "N/A"})
    assert "warnings" not in answer.json()
