"""Every field of upstream's POST /release_task: what is sent, and what the engines get."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from acestep_ray.formats import FORMATS
from acestep_ray.settings import Limits
from acestep_ray.settings.tree import Defaults
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import READY, TURBO, ApiHarness, field_errors
from tests.unit.api.upstream.tasks import release

CODES = "<|audio_code_7|><|audio_code_8|>"
TURBO_NAME = "acestep-v15-turbo"

# As sent -> the decoder's field -> its value.
DECODED: list[tuple[str, Any, str, Any]] = [
    ("prompt", "jazz", "caption", "jazz"),
    ("caption", "jazz", "caption", "jazz"),
    ("lyrics", "[verse]\nla", "lyrics", "[verse]\nla"),
    ("lyrics", " [verse]\nla\n", "lyrics", " [verse]\nla\n"),
    ("caption", "30s ", "caption", "30s "),
    ("bpm", 90, "bpm", 90),
    ("bpm", "90", "bpm", 90),
    ("bpm", "120 BPM", "bpm", 120),
    ("bpm", "98bpm", "bpm", 98),
    ("bpm", "90.0 beats per minute", "bpm", 90),
    ("bpm", 120.5, "bpm", 121),
    ("bpm", "92.4 bpm", "bpm", 92),
    ("bpm", 0, "bpm", None),
    ("bpm", "N/A", "bpm", None),
    ("bpm", "auto", "bpm", None),
    ("key_scale", "C Major", "key_scale", "C major"),
    ("keyscale", "Am", "key_scale", "A minor"),
    ("keyScale", "Am", "key_scale", "A minor"),
    ("key", "Am", "key_scale", "A minor"),
    ("key_scale", "Auto", "key_scale", ""),
    ("time_signature", "3/4", "time_signature", "3"),
    ("time_signature", 4, "time_signature", "4"),
    ("timesignature", "6", "time_signature", "6"),
    ("timeSignature", "6", "time_signature", "6"),
    ("time_signature", "auto", "time_signature", ""),
    ("vocal_language", "ja", "vocal_language", "ja"),
    ("language", "ja", "vocal_language", "ja"),
    ("vocalLanguage", "ja", "vocal_language", "ja"),
    ("vocal_language", "unknown", "vocal_language", "unknown"),
    ("vocal_language", "auto", "vocal_language", "unknown"),
    ("vocal_language", "English", "vocal_language", "en"),
    ("vocal_language", "japanese", "vocal_language", "ja"),
    ("vocal_language", "Deutsch", "vocal_language", "de"),
    ("language", "Portuguese (Brazil)", "vocal_language", "pt"),
    ("language", "中文", "vocal_language", "zh"),
    ("audio_duration", "30s", "seconds", 30),
    ("audio_duration", "20.5 sec", "seconds", 20.5),
    ("audio_duration", "45 seconds", "seconds", 45),
    ("duration", "1:30", "seconds", 90),
    ("duration", "2 min", "seconds", 120),
    ("duration", "1m30s", "seconds", 90),
    ("duration", "0s", "seconds", 120),
    ("audio_duration", 20, "seconds", 20),
    ("duration", "20.5", "seconds", 20.5),
    ("audioDuration", 20, "seconds", 20),
    ("target_duration", 20, "seconds", 20),
    ("audio_duration", -1, "seconds", 120),
    ("audio_duration", 0, "seconds", 120),
    ("audio_duration", -7, "seconds", 120),
    ("inference_steps", 4, "steps", 4),
    ("inferenceSteps", "4", "steps", 4),
    ("inference_steps", 8.7, "steps", 9),
    ("guidance_scale", 3, "guidance_scale", 3),
    ("guidanceScale", "3.5", "guidance_scale", 3.5),
    ("instruction", "Sing:", "instruction", "Sing:"),
    ("shift", 2, "shift", 2),
    ("infer_method", "SDE", "infer_method", "sde"),
    ("samplerMode", "heun", "sampler_mode", "heun"),
    ("timesteps", "1.0,0.5,0", "timesteps", (1.0, 0.5)),
    ("timesteps", [1, 0.5, 0.25], "steps", 3),
    ("velocity_norm_threshold", "2.5", "velocity_norm_threshold", 2.5),
    ("latentRescale", 1.1, "latent_rescale", 1.1),
    ("dcw_enabled", "n", "dcw_enabled", False),
    ("dcwEnabled", None, "dcw_enabled", None),
    ("dcw_wavelet", "db4", "dcw_wavelet", "haar"),
    ("dcw_scaler", "0.1", "dcw_scaler", 0.1),
    ("retake_variance", 0.1, "retake_variance", 0.1),
    ("audio_format", "wav", "audio_format", "wav"),
    ("audio_format", "FLAC", "audio_format", "flac"),
    ("audioFormat", "opus", "audio_format", "opus"),
    ("audio_format", ".WAV", "audio_format", "wav"),
    ("audio_format", "audio/flac", "audio_format", "flac"),
    ("audio_format", " Wave ", "audio_format", "wav"),
    ("audio_code_string", CODES, "codes", ((7, 8),)),
    ("audio_codes", CODES, "codes", ((7, 8),)),
    ("use_tiled_decode", "n", "use_tiled_decode", False),
    ("use_tiled_decode", False, "use_tiled_decode", False),
    ("use_tiled_decode", "y", "use_tiled_decode", True),
    ("cfg_interval_start", 0.5, "cfg_interval", (0.5, 1.0)),
    ("cfg_interval_end", "0.5", "cfg_interval", (0.0, 0.5)),
    ("model", "acestep-v15-base", "model", "acestep-v15-base"),
    ("model_name", "acestep-v15-base", "model", "acestep-v15-base"),
    ("dit_model", "acestep-v15-base", "model", "acestep-v15-base"),
]
# As sent, beside thinking -> the planner's field -> its value.
PLANNED: list[tuple[str, Any, str, Any]] = [
    ("lm_model_path", "acestep-5Hz-lm-4B", "model", "acestep-5Hz-lm-4B"),
    ("lm_model_path", "checkpoints/acestep-5Hz-lm-4B", "model", "acestep-5Hz-lm-4B"),
    ("lm_backend", "pt", "planner", "Planner"),
    ("lm_temperature", 0.1, "temperature", 0.1),
    ("lmTemperature", "0.1", "temperature", 0.1),
    ("lm_cfg_scale", 3, "cfg_scale", 3),
    ("lm_top_k", 5, "top_k", 5),
    ("lm_top_k", 0, "top_k", None),
    ("lm_top_p", 0.8, "top_p", 0.8),
    ("lm_repetition_penalty", 1.2, "repetition_penalty", 1.2),
    ("lm_negative_prompt", "noise", "negative_prompt", "noise"),
    ("use_cot_caption", False, "use_cot_caption", False),
    ("cot_caption", "no", "use_cot_caption", False),
    ("cot-caption", 0, "use_cot_caption", False),
    ("use_cot_language", False, "use_cot_language", False),
    ("cot_language", "n", "use_cot_language", False),
    ("cot-language", "y", "use_cot_language", None),
    ("use_format", True, "kind", "format"),
    ("format", "y", "kind", "format"),
    ("useFormat", "1", "kind", "format"),
    ("use_format", "n", "writing", None),
    ("sample_query", "rain", "query", "rain"),
    ("sampleQuery", "rain", "query", "rain"),
    ("description", "rain", "query", "rain"),
    ("desc", "rain", "query", "rain"),
    ("sample_mode", True, "kind", "sample"),
    ("sampleMode", "y", "kind", "sample"),
    ("sample_mode", "n", "writing", None),
    ("caption", "jazz", "caption", "jazz"),
    ("lyrics", "la", "lyrics", "la"),
    ("bpm", 90, "bpm", 90),
    ("vocal_language", "ja", "vocal_language", "ja"),
    ("audio_duration", 20, "duration", 20),
]
# Upstream's fields that are accepted but not supported: a value -> whether it causes a warning.
NOT_DONE: list[tuple[dict[str, Any], str]] = [
    ({"infer_method": "dpm"}, "infer_method"),
    ({"timesteps": "1.0,1.5"}, "timesteps"),
    ({"sampler_mode": "heun", "infer_method": "sde"}, "sampler_mode"),
    ({"guidance_variant": "cfg"}, "guidance_variant"),
    ({"guidance_params": {"a": 1}}, "guidance_params"),
    ({"velocity_norm_threshold": -2}, "velocity_norm_threshold"),
    ({"velocity_ema_factor": 3}, "velocity_ema_factor"),
    ({"latent_shift": "much"}, "latent_shift"),
    ({"latent_rescale": -1}, "latent_rescale"),
    ({"dcw_wavelet": "db4"}, "dcw_wavelet"),
    ({"use_adg": True}, "use_adg"),
    ({"constrained_decoding": "no"}, "constrained_decoding"),
    ({"use_format": "perhaps"}, "use_format"),
    ({"sample_mode": "perhaps"}, "sample_mode"),
    ({"format": "mp3"}, "format"),
    ({"global_caption": "A rock song."}, "global_caption"),
    ({"seed": 5}, "use_random_seed"),
    ({"get_lrc": True}, "lrc"),
    ({"auto_score": True}, "scores"),
]
# Values that request what is done anyway: no warning.
SILENT: list[dict[str, Any]] = [
    {"infer_method": "ode"},
    {"timesteps": None},
    {"sampler_mode": "euler"},
    {"dcw_enabled": "n"},
    {"use_cot_language": "y"},
    {"constrained_decoding": True},
    {"allow_lm_batch": True},
    {"is_format_caption": True},
    {"use_format": "n"},
    {"sample_mode": "false"},
    {"sample_query": ""},
    {"instrumental": True},
    {"analysis_only": False, "full_analysis_only": "n", "extract_codes_only": 0},
    {"repaint_mode": "balanced", "repaint_strength": 0.5, "chunk_mask_mode": "auto"},
    {"cover_noise_strength": 0.5},
    {"ai_token": "unneeded"},
    {"seed": -1, "use_random_seed": True},
    {"track_name": "", "track_classes": []},
    {"repainting_end": None},
    {"metas": {}, "param_obj": "", "metadata": None},
]
# A number or word that cannot be used -> the engines' field -> the default -> how it is named.
UNUSABLE: list[tuple[str, Any, str, Any, str]] = [
    ("bpm", "fast", "bpm", None, "The model chooses it."),
    ("bpm", 20, "bpm", None, "The model chooses it."),
    ("bpm", 1000, "bpm", None, "The model chooses it."),
    ("bpm", 0.4, "bpm", None, "The model chooses it."),
    ("bpm", "1e400 bpm", "bpm", None, "The model chooses it."),
    ("key_scale", "H#", "key_scale", "", "The model chooses it."),
    ("time_signature", "5/4", "time_signature", "", "The model chooses it."),
    ("vocal_language", "klingon", "vocal_language", "en", "en is used."),
    ("audio_duration", "long", "seconds", 120, "120 s is used."),
    ("audio_duration", 0.5, "seconds", 120, "120 s is used."),
    ("audio_duration", "1:99", "seconds", 120, "120 s is used."),
    ("audio_duration", "30000ms", "seconds", 120, "120 s is used."),
    ("audio_duration", 6000, "seconds", 120, "120 s is used."),
    ("inference_steps", 0, "steps", 8, "8 is used."),
    ("inference_steps", 500, "steps", 8, "8 is used."),
    ("guidance_scale", "x", "guidance_scale", 7.0, "7 is used."),
    ("guidance_scale", 99, "guidance_scale", 7.0, "7 is used."),
    ("shift", 9, "shift", 3.0, "3 is used."),
    ("cfg_interval_start", 2, "cfg_interval", (0.0, 1.0), "0 is used."),
    ("audio_format", "mod", "audio_format", "mp3", "mp3 is used."),
    ("use_tiled_decode", "perhaps", "use_tiled_decode", True, "true is used."),
    ("model", "acestep-v9", "model", "", "acestep-v15-turbo is used."),
    (
        "dcw_enabled",
        "maybe",
        "dcw_enabled",
        None,
        "DCW is on for turbo models, and off for others.",
    ),
    ("timesteps", "late", "timesteps", (), "They follow from inference_steps and shift."),
]


@pytest.mark.parametrize(("name", "value", "field", "expected"), DECODED)
async def test_the_decoder_gets(
    both: ApiHarness, name: str, value: Any, field: str, expected: Any
) -> None:
    assert (await release(both, **{name: value})).decode[field] == expected


@pytest.mark.parametrize(("name", "value", "field", "expected"), PLANNED)
async def test_the_planner_gets(
    api: ApiHarness, name: str, value: Any, field: str, expected: Any
) -> None:
    sent = await release(api, thinking=True, **{name: value})
    assert sent.plan[field] == expected


async def test_the_defaults_are_upstreams(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", thinking="y")
    assert sent.warnings == ""
    plan = {name: sent.plan[name] for name in ("temperature", "cfg_scale", "top_p", "top_k")}
    assert plan == {"temperature": 0.85, "cfg_scale": 2.5, "top_p": 0.9, "top_k": None}
    assert sent.plan["repetition_penalty"] == 1.0 and sent.plan["negative_prompt"]
    assert sent.plan["use_cot_caption"] is True and sent.plan["infer_type"] == "llm_dit"
    assert sent.plan["use_cot_language"] is None and sent.plan["writing"] is None
    assert sent.plan["duration"] is None
    decode = {name: sent.decode[name] for name in ("steps", "guidance_scale", "shift")}
    assert decode == {"steps": 8, "guidance_scale": 7.0, "shift": 3.0}
    assert len(sent.decode["seeds"]) == 2 and sent.decode["audio_format"] == "mp3"
    assert (sent.decode["task"], sent.decode["vocal_language"]) == ("text2music", "en")
    assert sent.decode["cover_strength"] == 1.0 and sent.decode["use_tiled_decode"] is True


async def test_no_caption_is_asked_for_where_the_lm_writes_no_text(api: ApiHarness) -> None:
    metadata = {"bpm": 90, "key_scale": "Am", "time_signature": 4, "audio_duration": 20}
    sent = await release(api, prompt="jazz", thinking=True, **metadata)
    assert sent.plan["use_cot_caption"] is False and sent.warnings == ""


@pytest.mark.parametrize(("fields", "named"), NOT_DONE)
async def test_nothing_is_dropped_in_silence(
    api: ApiHarness, fields: dict[str, Any], named: str
) -> None:
    assert named in (await release(api, prompt="jazz", **fields)).warnings


@pytest.mark.parametrize("fields", SILENT)
async def test_what_is_done_anyway_needs_no_warning(
    api: ApiHarness, fields: dict[str, Any]
) -> None:
    sent = await release(api, prompt="jazz", **fields)
    assert sent.warnings == "" and sent.decode["caption"] == "jazz"


@pytest.mark.parametrize(("name", "value", "field", "default", "named"), UNUSABLE)
async def test_what_cannot_be_used_becomes_the_default_with_a_warning(
    both: ApiHarness,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: Any,
    field: str,
    default: Any,
    named: str,
) -> None:
    with caplog.at_level(logging.DEBUG):
        sent = await release(both, prompt="jazz", **{name: value})
    assert sent.decode[field] == default
    assert name in sent.warnings and sent.warnings.endswith(f" {named}")
    assert sent.warnings in caplog.text, "the server's log has it, too"
    (told,) = (r for r in caplog.records if r.getMessage().startswith("Warnings"))
    assert told.levelno == logging.WARNING and name not in told.getMessage()


async def test_an_unusable_lm_value_becomes_upstreams_default(api: ApiHarness) -> None:
    values = {"lm_temperature": 9, "lm_cfg_scale": "x", "lm_top_p": -1, "lm_model_path": "none-1B"}
    sent = await release(api, prompt="jazz", thinking=True, **values)
    plan = {name: sent.plan[name] for name in ("temperature", "cfg_scale", "top_p", "model")}
    assert plan == {"temperature": 0.85, "cfg_scale": 2.5, "top_p": 0.9, "model": ""}
    assert all(name in sent.warnings for name in values)
    for named in ("0.85", "2.5", "0.9", "The planner's own model"):
        assert f"{named} is used." in sent.warnings
    sent = await release(api, prompt="jazz", thinking=True, infer_type="fast")
    assert sent.warnings.endswith("llm_dit is used.")


async def test_what_the_lm_decides_is_not_called_a_default(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", thinking=True, audio_duration="long", bpm="fast")
    assert sent.warnings.count("The language model chooses it.") == 2
    sent = await release(api, sample_query="jazz", vocal_language="klingon")
    assert sent.warnings.endswith("The language model chooses it.")
    sent = await release(api, prompt="jazz", use_cot_caption=False, lm_temperature=9)
    assert "the language model does not work for this song" in sent.warnings
    sent = await release(api, prompt="jazz", audio_codes=CODES, audio_duration="long")
    assert sent.warnings.endswith("The audio codes decide it.")


@pytest.mark.parametrize(
    ("fields", "warning"),
    [({"bpm": 120.5}, "bpm must be a whole number: 121 is used, not 120.5."),
     ({"metas": {"bpm": "92.4 BPM"}}, "bpm must be a whole number: 92 is used, not 92.4."),
     ({"inference_steps": "7.2"}, "inference_steps must be a whole number: 7 is used, not 7.2."),
     ({"bpm": "120 BPM", "audio_duration": "30s", "language": "English", "audio_format": ".MP3"},
      "")],
)  # fmt: skip
async def test_only_another_value_is_a_warning(
    api: ApiHarness, fields: dict[str, Any], warning: str
) -> None:
    assert (await release(api, prompt="jazz", **fields)).warnings == warning


async def test_m4a_is_aac_where_it_can_be_written(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", audio_format="m4a")
    assert "audio_format aac needs ffmpeg" in sent.warnings and "mp3 is used." in sent.warnings
    formats = {"audio_formats": tuple(FORMATS)}
    api.service.deploy = replace(READY, decoders=(TURBO.model_copy(update=formats),))
    for word in ("m4a", ".M4A", "AAC"):
        sent = await release(api, prompt="jazz", audio_format=word)
        assert (sent.decode["audio_format"], sent.warnings) == ("aac", "")


@pytest.mark.parametrize(
    "fields",
    [{"bpm": "120 BPM"}, {"bpm": 120.5}, {"audio_duration": "30s"}, {"vocal_language": "English"},
     {"audio_format": ".MP3"}, {"audio_format": "m4a"}, {"batch_size": 16},
     {"seed": [1] * 9, "use_random_seed": False}, {"inference_steps": 8.7}],
)  # fmt: skip
async def test_the_native_request_stays_strict(api: ApiHarness, fields: dict[str, Any]) -> None:
    assert field_errors(await api.submit(caption="jazz", **fields))


async def test_a_length_that_the_lm_cannot_plan(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", thinking=True, audio_duration=5)
    assert sent.plan["duration"] is None and "audio_duration" in sent.warnings


@pytest.mark.parametrize(
    ("fields", "takes", "warned"),
    [({}, 2, False), ({"batch_size": None}, 2, False), ({"batch_size": 0}, 2, False),
     ({"batch_size": ""}, 2, False), ({"batch_size": 3}, 3, False), ({"batchSize": "1"}, 1, False),
     ({"batch_size": 16}, 8, True), ({"batchSize": "9"}, 8, True),
     ({"param_obj": {"batch_size": 100}}, 8, True), ({"batch_size": 1e300}, 8, True),
     ({"batch_size": 2.4}, 2, True), ({"batch_size": "many"}, 2, True)],
)  # fmt: skip
async def test_batch_size(
    api: ApiHarness, fields: dict[str, Any], takes: int, warned: bool
) -> None:
    sent = await release(api, prompt="jazz", **fields)
    assert len(sent.decode["seeds"]) == takes and ("batch_size" in sent.warnings) is warned
    assert (f"{takes} is used" in sent.warnings) is warned


async def test_the_most_takes_are_those_of_the_settings(make_api: MakeHarness) -> None:
    api = await make_api(limits=Limits(batch_size=3))
    seeds = list(range(16))
    sent = await release(api, prompt="x", batch_size=16, seed=seeds, use_random_seed=False)
    assert sent.decode["seeds"] == (0, 1, 2)
    assert "batch_size is at most 3: 3 is used, not 16." in sent.warnings
    assert "seed lists 16 seeds: the first 3 are used" in sent.warnings


@pytest.mark.parametrize("seeds", [",".join("123456789"), list(range(1, 10)), str([*range(1, 10)])])
async def test_more_seeds_than_takes_are_not_all_lost(api: ApiHarness, seeds: object) -> None:
    sent = await release(api, prompt="jazz", seed=seeds, use_random_seed=False)
    assert sent.decode["seeds"] == (1, 2, 3, 4, 5, 6, 7, 8) and "9 seeds" in sent.warnings


@pytest.mark.parametrize(
    ("fields", "seeds"),
    [({"seed": 5}, (5, 6)), ({"seed": "5"}, (5, 6)), ({"seed": "1,2"}, (1, 2)),
     ({"seed": [1, 2]}, (1, 2)), ({"seed": "[1, 2]"}, (1, 2)),
     ({"seed": "1,2,3", "batch_size": 2}, (1, 2)), ({"seed": 0, "batch_size": 1}, (0,))],
)  # fmt: skip
async def test_seeds(api: ApiHarness, fields: dict[str, Any], seeds: tuple[int, ...]) -> None:
    sent = await release(api, prompt="jazz", use_random_seed="false", **fields)
    assert sent.decode["seeds"] == seeds
    assert ("seed" in sent.warnings) is (fields["seed"] == "1,2,3")


async def test_too_few_seeds_are_filled_up(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", use_random_seed=False, seed="1,2", batch_size=3)
    assert sent.decode["seeds"][:2] == (1, 2) and len(sent.decode["seeds"]) == 3
    assert "seed lists 2" in sent.warnings


async def test_a_seed_out_of_range_is_drawn(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", use_random_seed=False, seed=2**32)
    assert "seed" in sent.warnings and len(sent.decode["seeds"]) == 2


@pytest.mark.parametrize("name", ["analysis_only", "full_analysis_only", "extract_codes_only"])
async def test_what_is_no_song_is_refused(api: ApiHarness, name: str) -> None:
    answer = await api.http.post("/release_task", json={"prompt": "jazz", name: True})
    assert answer.status_code == 422 and name in answer.json()["detail"]
    described = name != "extract_codes_only"
    assert ("POST /v1/understand" in answer.json()["detail"]) is described
    native = field_errors(await api.submit(caption="jazz", **{name: True}))[name]
    assert ("POST /v1/understand" in native) is described
    assert await api.queued() == 0


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"task_type": "dance"}, "task_type"), ({"task_type": "lego"}, "task_type"),
     ({"task_type": "cover"}, "src_audio"), ({"prompt": "x" * 4001}, "caption"),
     ({"audio_codes": "la la"}, "audio_code_string"), ({"lyrics": ["la"]}, "lyrics"),
     ({"track_name": "kazoo"}, "track_name")],
)  # fmt: skip
async def test_what_would_be_another_song_is_refused(
    api: ApiHarness, fields: dict[str, Any], named: str
) -> None:
    answer = await api.http.post("/release_task", json=fields)
    assert answer.status_code == 422 and named in answer.json()["detail"]
    assert await api.queued() == 0


async def test_a_warning_is_one_line_of_the_log(api: ApiHarness) -> None:
    sent = await release(api, prompt="jazz", **{"a\nERROR forged": 1})
    assert "a\\nERROR forged" in sent.warnings and "\n" not in sent.warnings


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [({}, 120), ({"limits": Limits(duration=90)}, 90), ({"defaults": Defaults(duration=60)}, 60)],
)
async def test_a_song_without_the_lm_is_as_long_as_upstreams(
    make_api: MakeHarness, settings: dict[str, Any], seconds: int
) -> None:
    """Unless the client, the limit or the operator wants another length."""
    api = await make_api(**settings)
    fields: dict[str, Any] = {"prompt": "jazz", "use_cot_caption": False}
    assert (await release(api, **fields)).decode["seconds"] == seconds
    assert (await release(api, **fields, audio_duration=20)).decode["seconds"] == 20
