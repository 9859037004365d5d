"""Every field: what is refused, with its name and its legal values, and what is accepted."""

import json
from typing import Any

import pytest

from acestep_ray.api.request.generate_request import FIELDS, GenerateRequest
from acestep_ray.api.request.validation import legal_values
from acestep_ray.decoder.protocol import DecodeParameters
from acestep_ray.planner.protocol import PlanParameters
from acestep_ray.settings import Limits, Settings
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, field_errors, warnings_of

NOT_NUMBERS: list[Any] = ["abc", "1_0", "0x10", "१२०", True, False, [], {}, [1], "1e999", "nan"]
NOT_FINITE = [float("nan"), float("inf"), float("-inf"), 10**400, 10**30]
NOT_TEXT: list[Any] = [5, 1.5, True, [], {}, ["text"], "a\0b", "half \ud83d"]
NOT_FLAGS: list[Any] = ["maybe", "2", 2, -1, 0.5, [], {}, "truee", " "]
NOT_CHOICES: list[Any] = [*NOT_TEXT, "other", "mp3,wav", " "]


def numbers(*others: Any) -> list[Any]:
    return [*NOT_NUMBERS, *NOT_FINITE, *others]


A_JOB = "550e8400-e29b-41d4-a716-446655440000"
NOT_JOBS = [
    "job",
    " ",
    "550e8400-e29b-41d4-a716-44665544000",
    "550e8400-e29b-41d4-a716-44665544000g",
]


BAD: dict[str, list[Any]] = {
    "caption": [*NOT_TEXT, "x" * 4001],
    "lyrics": [*NOT_TEXT, "x" * 20_001],
    "vocal_language": [*NOT_TEXT, "xx", "english", "e", " "],
    "audio_format": [*NOT_CHOICES, "m4a", ".mp3"],
    "bpm": numbers(29, 301, 120.5, -1, 0, "29", "120.5"),
    "key_scale": [*NOT_TEXT, "H major", "X", "C blues", "C major minor", " "],
    "time_signature": [0, 5, 4.5, True, [], {}, "5", "5/4", "4/8", "four", " ", "a\0b", 10**400],
    "audio_duration": numbers(0.5, 600.5, -2, -0.5, "0.99", 1e300),
    "inference_steps": numbers(0, 201, -1, 8.5),
    "guidance_scale": numbers(-0.1, 30.1),
    "use_random_seed": NOT_FLAGS,
    "seed": [v for v in numbers() if v != [1]]
    + [-2, 2**32, 1.5, "1,,2", "1,x", [1, -2], [1, None], [[1]], [1] * 9, ","],
    "batch_size": numbers(0, 9, -1, 1.5),
    "sample_query": [*NOT_TEXT, "x" * 4001],
    "sample_mode": NOT_FLAGS,
    "use_format": NOT_FLAGS,
    "instrumental": NOT_FLAGS,
    "use_5hz_lm": NOT_FLAGS,
    "lm_model_path": [*NOT_TEXT, "x" * 201],
    "lm_backend": [*NOT_CHOICES, "nano-vllm", "mlx"],
    "lm_temperature": numbers(-0.1, 2.1),
    "lm_cfg_scale": numbers(-0.1, 20.1),
    "lm_negative_prompt": [*NOT_TEXT, "x" * 4001],
    "lm_top_k": numbers(-1, 2**31, 1.5),
    "lm_top_p": [*NOT_NUMBERS, *NOT_FINITE[:4], -0.1],
    "lm_repetition_penalty": numbers(0, -1, 2.1),
    "retake_seed": [v for v in numbers() if v != [1]] + [-2, 2**32, 1.5, "1,,2", [1, -2], [1] * 9],
    "retake_variance": numbers(-0.1, 1.1),
    "flow_edit_morph": NOT_FLAGS,
    "flow_edit_source_caption": [*NOT_TEXT, "x" * 4001],
    "flow_edit_source_lyrics": [*NOT_TEXT, "x" * 20_001],
    "flow_edit_n_min": numbers(-0.1, 1.1),
    "flow_edit_n_max": numbers(-0.1, 1.1),
    "flow_edit_n_avg": numbers(0, 9, 1.5),
    "adapters": [7, True, [7], [""], ["a", "a"], ["a:3"], [{"scale": 1}], ["a"] * 9],
    "lrc": NOT_FLAGS,
    "scores": NOT_FLAGS,
    "infer_method": [*NOT_CHOICES, "euler"],
    "sampler_mode": [*NOT_CHOICES, "ode"],
    "timesteps": [
        5, True, {}, [None], ["x"], [[1]], "abc", "1;0", "1,,0", "1,1", "0.5,0.7", "1.1,0.5",
        "0.5,-0.1", "0", "0,0", "nan", "1,nan", [1, 0.5, 0, 0.2],
        [i / 300 for i in range(300, 0, -1)],
    ],
    "use_adg": NOT_FLAGS,
    "guidance_variant": [*NOT_CHOICES, "apg"],
    "velocity_norm_threshold": numbers(-0.1, 100.1),
    "velocity_ema_factor": numbers(-0.1, 1.1),
    "latent_shift": numbers(-10.1, 10.1),
    "latent_rescale": numbers(-0.1, 10.1),
    "dcw_enabled": NOT_FLAGS,
    "dcw_mode": [*NOT_CHOICES, "both"],
    "dcw_scaler": numbers(-0.1, 1.1),
    "dcw_high_scaler": numbers(-0.1, 1.1),
    "dcw_wavelet": [*NOT_CHOICES, "db4", "sym2"],
    "reference_audio_path": [*NOT_TEXT, "x" * 4097],
    "src_audio_path": [*NOT_TEXT, "x" * 4097],
    "src_job_id": [*NOT_TEXT, *NOT_JOBS],
    "src_take": numbers(0, 9, -1, 1.5),
    "reference_job_id": [*NOT_TEXT, *NOT_JOBS],
    "reference_take": numbers(0, 9, -1, 1.5),
    "task_type": [*NOT_CHOICES, "text-to-music"],
    "instruction": [*NOT_TEXT, "x" * 4001],
    "global_caption": [*NOT_TEXT, "x" * 4001],
    "repainting_start": [*NOT_NUMBERS, *NOT_FINITE[:4]],
    "repainting_end": [*NOT_NUMBERS, *NOT_FINITE[:4]],
    "audio_cover_strength": numbers(-0.1, 1.1),
    "repaint_mode": [*NOT_CHOICES, "bold"],
    "repaint_strength": numbers(-0.1, 1.1),
    "chunk_mask_mode": [*NOT_CHOICES, "ones"],
    "cover_noise_strength": numbers(-0.1, 1.1),
    "audio_code_string": [
        5, True, {}, [], [5], [None], ["<|audio_code_1|>", ""], "<|audio_code_64000|>", "words",
        "<|audio_code_1|> and", ["<|audio_code_1|>", "<|audio_code_1|><|audio_code_2|>"],
        ["<|audio_code_1|>"] * 9, "<|audio_code_1|>" * 3001, "<|audio_code_1|>\0",
    ],
    "infer_type": [*NOT_CHOICES, "llm"],
    "cfg_interval_start": numbers(-0.1, 1.1),
    "cfg_interval_end": numbers(-0.1, 1.1),
    "shift": numbers(0.9, 5.1, 0),
    "use_tiled_decode": NOT_FLAGS,
    "use_cot_caption": NOT_FLAGS,
    "use_cot_language": NOT_FLAGS,
    "track_name": [*NOT_CHOICES, "piano"],
    "track_classes": [5, True, {}, "piano", ["drums", "piano"], [5], "drums;bass", "a\0b"],
    "model": [*NOT_TEXT, "x" * 201],
    "webhook_url": [
        *NOT_TEXT, "hook", " ", "ftp://music.example.org/", "http://", "http:///hook",
        "https:music.example.org", "http://user:pw@music.example.org/", "https://@music.example",
        "http://music.example.org:0/", "http://music.example.org:65536/", "http://h/#part",
        "http://music.example.org\\@other.example/", "http://music example.org/", "http://h/a b",
        "http://[::1/", "http://[fe80::1%25eth0]/", "https://h/" + "x" * 2000,
    ],
    "webhook_events": [
        5, True, {}, [], [5], [None], ["ended", "deleted"], "done", "ended;running", " ",
    ],
}  # fmt: skip

GOOD: dict[str, list[tuple[Any, Any]]] = {
    "caption": [("x" * 4000, "x" * 4000), ("", ""), ("новая 🎵", "новая 🎵")],
    "lyrics": [("x" * 20_000, "x" * 20_000), ("[verse]\n\tla\r\n", "[verse]\n\tla\r\n")],
    "vocal_language": [("zh-CN", "zh"), ("EN", "en"), ("yue", "yue"), ("unknown", "unknown")],
    "audio_format": [("mp3", "mp3"), ("WAV", "wav"), ("flac", "flac"), ("opus", "opus"),
                     ("ogg", "ogg"), ("wav32", "wav32"), ("", "mp3")],
    "bpm": [(30, 30), (300, 300), ("120", 120), (" 120 ", 120), (120.0, 120), ("120.0", 120),
            ("1.2e2", 120)],
    "key_scale": [("C Major", "C major"), ("f# minor", "F# minor"), ("Am", "A minor"), ("", "")],
    "time_signature": [("4/4", "4"), ("6/8", "6"), (3, "3"), ("2", "2"), (4.0, "4"), ("", "")],
    "audio_duration": [(1, 1.0), (600, 600.0), (0, None), (-1, None), ("-1", None), ("12.5", 12.5)],
    "inference_steps": [(1, 1), (200, 200), ("16", 16)],
    "guidance_scale": [(0, 0.0), (30, 30.0), ("7.5", 7.5)],
    "use_random_seed": [(False, False), ("no", False), ("OFF", False), (0, False), ("1", True)],
    "seed": [(0, (0,)), ("", (-1,)), (2**32 - 1, (2**32 - 1,)), ("7", (7,)), ("1, 2,3", (1, 2, 3)),
             ([4, "5"], (4, 5)), (-1, (-1,))],
    "batch_size": [(1, 1), (8, 8), ("3", 3)],
    "sample_query": [("x" * 4000, "x" * 4000), ("", "")],
    "sample_mode": [(True, True), ("no", False)],
    "use_format": [(True, True), ("off", False)],
    "instrumental": [(True, True), ("0", False)],
    "use_5hz_lm": [(True, True), ("Yes", True), ("on", True), ("0", False)],
    "lm_model_path": [("acestep-5Hz-lm-4B", "acestep-5Hz-lm-4B")],
    "lm_backend": [("pt", "pt"), ("VLLM", "vllm"), ("", "vllm")],
    "lm_temperature": [(0, 0.0), (2, 2.0)],
    "lm_cfg_scale": [(0, 0.0), (20, 20.0)],
    "lm_negative_prompt": [("noise", "noise")],
    "lm_top_k": [(0, 0), (1_000_000, 1_000_000)],
    "lm_top_p": [(0, 0.0), (1, 1.0), (1.5, 1.5)],
    "lm_repetition_penalty": [(0.1, 0.1), (2, 2.0)],
    "retake_seed": [(0, (0,)), ("", (-1,)), ("1, 2", (1, 2)), ([4, "5"], (4, 5)), (-1, (-1,))],
    "retake_variance": [(0, 0.0), ("0.1", 0.1)],
    "infer_method": [("SDE", "sde"), ("ode", "ode"), ("", "ode")],
    "sampler_mode": [("Heun", "heun"), ("euler", "euler")],
    "timesteps": [("1,0.5,0", (1.0, 0.5)), ([0.9, "0.4"], (0.9, 0.4)), ("[1, 0.5]", (1.0, 0.5)),
                  (" 0.9 , 0.1,0,0 ", (0.9, 0.1)), ("0.5", (0.5,)), ("", ()), ([], ())],
    "use_adg": [("yes", True)],
    "velocity_norm_threshold": [(0, 0.0), ("2.5", 2.5)],
    "velocity_ema_factor": [(0, 0.0), (1, 1.0)],
    "latent_shift": [(-10, -10.0), ("0.1", 0.1)],
    "latent_rescale": [(0, 0.0), (10, 10.0)],
    "dcw_enabled": [(True, True), ("off", False), ("", None)],
    "dcw_mode": [("LOW", "low"), ("high", "high"), ("double", "double"), ("pix", "pix")],
    "dcw_scaler": [(0, 0.0), (1, 1.0), ("0.1", 0.1)],
    "dcw_high_scaler": [(0, 0.0), (1, 1.0)],
    "dcw_wavelet": [("Haar", "haar"), ("db1", "db1")],
    "reference_audio_path": [("/a/b.wav", "/a/b.wav")],
    "src_audio_path": [("/a/b.wav", "/a/b.wav")],
    "task_type": [("Cover", "cover"), ("cover-nofsq", "cover-nofsq"), ("lego", "lego"),
                  ("", "text2music")],
    "instruction": [("Do it:", "Do it:"), ("", "")],
    "global_caption": [("", "")],  # a text needs a model that reads it
    "guidance_variant": [("CFG", "cfg"), ("adg_w_norm", "adg_w_norm"), ("", "apg_classic")],
    "flow_edit_morph": [(False, False), ("no", False)],  # true needs a source
    "flow_edit_source_caption": [("folk", "folk"), ("", "")],
    "flow_edit_source_lyrics": [("la", "la"), ("", "")],
    "flow_edit_n_min": [(0.25, 0.25), ("1", 1.0), ("", 0.0)],
    "flow_edit_n_max": [(0.5, 0.5), ("0", 0.0), ("", 1.0)],
    "flow_edit_n_avg": [(8, 8), ("2", 2), ("", 1)],
    "adapters": [([], ()), ("", None)],  # others need adapters
    "lrc": [(False, False), ("", False)],  # and this one that knows its heads
    "scores": [("no", False)],
    "repainting_start": [(-5, -5.0), ("1.5", 1.5)],
    "repainting_end": [(-1, None), (90, 90.0), ("-1", None)],
    "repaint_mode": [("Conservative", "conservative"), ("aggressive", "aggressive")],
    "repaint_strength": [(0, 0.0), (1, 1.0)],
    "chunk_mask_mode": [("AUTO", "auto"), ("explicit", "explicit"), ("", None)],
    "cover_noise_strength": [(0, 0.0), ("0.5", 0.5)],
    "audio_cover_strength": [(0, 0.0), (1, 1.0)],
    "audio_code_string": [("<|audio_code_0|><|audio_code_63999|>", ((0, 63_999),)), ("", ()),
                          (["<|audio_code_1|>", "<|audio_code_2|>"], ((1,), (2,))),
                          ("<|audio_code_1|>" * 3000, ((1,) * 3000,))],
    "infer_type": [("LLM_DIT", "llm_dit"), ("dit", "dit")],
    "cfg_interval_start": [(0, 0.0), (1, 1.0)],
    "cfg_interval_end": [(0, 0.0), (1, 1.0)],
    "shift": [(1, 1.0), (5, 5.0)],
    "use_tiled_decode": [("false", False)],
    "use_cot_caption": [("true", True)],
    "use_cot_language": [("true", True), (False, False), ("", None)],
    "track_name": [("Vocals", "vocals"), ("backing_vocals", "backing_vocals"), ("", "")],
    "track_classes": [("drums | Bass", ("drums", "bass")), (["fx", "fx"], ("fx",)), ("", ()),
                      ([], ())],
    "model": [("acestep-v15-turbo", "acestep-v15-turbo")],
    "src_job_id": [(A_JOB.upper(), A_JOB), (f" {A_JOB} ", A_JOB), ("", None)],
    "src_take": [(1, 1), (8, 8), ("2", 2)],
    "reference_job_id": [(A_JOB, A_JOB)],
    "reference_take": [(1, 1), ("8", 8)],
    "webhook_url": [("https://Music.example.org", "https://music.example.org/"), ("", None),
                    (" http://h:8080/a?b=c ", "http://h:8080/a?b=c"),
                    ("https://h:443/Hook", "https://h/Hook"), ("http://h:443/", "http://h:443/"),
                    ("http://0x7f.1/", "http://127.0.0.1/"), ("http://[::1]:80/", "http://[::1]/"),
                    ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC")],
    "webhook_events": [("ended", ("ended",)), ("", ("ended",)),
                       ("stage, ENDED", ("stage", "ended")),
                       (["running", "running"], ("running",)),
                       ("submitted,running,stage,progress,requeued,ended",
                        ("submitted", "running", "stage", "progress", "requeued", "ended"))],
}  # fmt: skip


def test_the_tables_hold_every_field() -> None:
    assert set(BAD) == set(GOOD) == set(FIELDS)


@pytest.mark.parametrize("field", BAD)
async def test_bad_values_in_json(api: ApiHarness, field: str) -> None:
    legal = legal_values(field, api.settings.limits)
    for value in BAD[field]:
        body = json.dumps({field: value}).encode()
        answer = await api.http.post(
            URL, content=body, headers={"Content-Type": "application/json"}
        )
        errors = field_errors(answer)
        assert field in errors, f"{value!r}: {errors}"
        assert errors[field].startswith(f"{field} must be {legal}; got "), value
        assert legal in answer.json()["detail"]
        assert answer.json()["errors"][0]["legal"] == legal
    assert await api.queued() == 0


@pytest.mark.parametrize("field", BAD)
async def test_bad_values_in_forms(api: ApiHarness, field: str) -> None:
    texts = [v for v in BAD[field] if isinstance(v, str) and v and "\ud83d" not in v]
    texts += [str(v) for v in BAD[field] if type(v) in (int, float) and abs(v) < 1e30]
    if field in (
        "caption",
        "lyrics",
        "sample_query",
        "instruction",
        "global_caption",
        "flow_edit_source_caption",
        "flow_edit_source_lyrics",
        "lm_negative_prompt",
        "time_signature",
    ):
        texts = [t for t in texts if len(t) > 10 or "\0" in t]  # numbers are texts there
    if field.endswith(("_path", "model")):
        texts = [t for t in texts if len(t) > 10 or "\0" in t]
    if field == "audio_code_string":
        texts = [t for t in texts if not t.isdigit()]  # plain numbers are codes
    assert texts
    for text in texts:
        urlencoded = await api.http.post(URL, data={field: text})
        multipart = await api.http.post(URL, files={field: (None, text)})
        for answer in (urlencoded, multipart):
            assert field in field_errors(answer), f"{text!r}"
    assert await api.queued() == 0


@pytest.mark.parametrize("field", GOOD)
def test_good_values(field: str) -> None:
    from acestep_ray.api.request.body import Body
    from acestep_ray.api.request.validation import check

    for value, stored in GOOD[field]:
        for form in (False, True):
            if form and isinstance(value, list):
                continue
            sent = str(value).lower() if form and isinstance(value, bool) else value
            sent = str(sent) if form else sent
            checked = check(Body({field: sent}, form, {}, ""), Limits())
            assert not checked.errors, checked.errors
            assert checked.request.model_dump(by_alias=True)[field] == stored, (value, form)


@pytest.mark.parametrize("field", [*GOOD, "metas", "prompt", "src_audio", "reference_audio"])
async def test_values_that_mean_the_default(api: ApiHarness, field: str) -> None:
    """What JavaScript and Python write for "no value": none of it is sung, and none is an error."""
    drawn = {"seeds": (), "request_id": ""}  # another for each request
    plain = (await api.spec(caption=None)).model_dump() | drawn
    answers = [await api.submit(**{"caption": None, field: nothing}) for nothing in (None, "")]
    for nothing in ("", "null", "undefined", "None"):
        answers.append(await api.http.post(URL, data={field: nothing}))
        answers.append(await api.http.post(URL, files={field: (None, nothing)}))
    for answer in answers:
        assert answer.status_code == 200, answer.text
        stored = await api.stored(answer.json()["job_id"])
        assert stored.model_dump() | drawn == plain


async def test_words_that_are_values_in_json(api: ApiHarness) -> None:
    assert (await api.spec(caption="null", lyrics="None")).decode.lyrics == "None"
    assert "bpm" in field_errors(await api.submit(bpm="undefined"))
    assert "bpm" in field_errors(await api.http.post(URL, data={"bpm": "NaN"}))


async def test_every_bad_field_is_named_once(api: ApiHarness) -> None:
    fields = [name for name in BAD if name != "task_type"]
    answer = await api.submit(**{name: {"bad": True} for name in fields})
    errors = field_errors(answer)
    assert list(errors) == fields
    assert "And " in answer.json()["detail"]  # readable, not very long


async def test_the_caps_are_settings(make_api: MakeHarness) -> None:
    api = await make_api(limits={"duration": 20, "batch_size": 2})
    errors = field_errors(
        await api.submit(audio_duration=21, batch_size=3, seed=[1, 2, 3], use_random_seed=False)
    )
    assert set(errors) == {"audio_duration", "batch_size", "seed"}
    assert "to 20" in errors["audio_duration"] and "1 to 2" in errors["batch_size"]
    codes = field_errors(await api.submit(audio_code_string="<|audio_code_1|>" * 101))
    assert "at most 20 seconds" in codes["audio_code_string"]
    assert (await api.spec(audio_duration=20, batch_size=2)).decode.duration == 20


async def test_a_default_above_the_cap_is_lowered(make_api: MakeHarness) -> None:
    api = await make_api(limits={"batch_size": 1})
    assert len((await api.spec()).decode.seeds) == 1


async def test_a_long_number_is_a_wrong_value_not_a_wrong_body(api: ApiHarness) -> None:
    body = b'{"bpm": ' + b"9" * 5000 + b', "seed": -' + b"9" * 5000 + b"}"
    answer = await api.http.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert set(field_errors(answer)) == {"bpm", "seed"}


async def test_a_long_value_is_not_sent_back_whole(api: ApiHarness) -> None:
    answer = await api.submit(bpm="9" * 100_000)
    assert len(answer.content) < 1000
    assert "bpm" in field_errors(answer)


async def test_spelling_of_the_model(api: ApiHarness) -> None:
    spec = await api.spec(
        key_scale="f# MINOR", time_signature="6/8", vocal_language="zh-CN", audio_format="FLAC"
    )
    assert (spec.decode.key_scale, spec.decode.time_signature) == ("F# minor", "6")
    assert (spec.decode.vocal_language, spec.decode.audio_format) == ("zh", "flac")


async def test_the_documented_defaults(api: ApiHarness) -> None:
    spec = await api.spec(caption=None)
    assert spec.decode.model_dump(exclude={"seeds"}) == {
        "task": "text2music",
        "caption": "",
        "global_caption": "",
        "adapters": (),
        "decoder": "",
        "lrc": False,
        "scores": False,
        "guidance_variant": "apg_classic",
        "flow_edit_morph": False,
        "flow_edit_source_caption": "",
        "flow_edit_source_lyrics": "",
        "flow_edit_n_min": 0.0,
        "flow_edit_n_max": 1.0,
        "flow_edit_n_avg": 1,
        "lyrics": "",
        "vocal_language": "en",
        "instruction": "",
        "bpm": None,
        "key_scale": "",
        "time_signature": "",
        "duration": None,
        "codes": (),
        "steps": 8,
        "guidance_scale": 7.0,
        "shift": 3.0,
        "cfg_interval": (0.0, 1.0),
        "cover_strength": 1.0,
        "infer_method": "ode",
        "sampler_mode": "euler",
        "timesteps": (),
        "use_adg": False,
        "velocity_norm_threshold": 0.0,
        "velocity_ema_factor": 0.0,
        "latent_shift": 0.0,
        "latent_rescale": 1.0,
        "dcw_enabled": None,
        "dcw_mode": "double",
        "dcw_scaler": 0.05,
        "dcw_high_scaler": 0.02,
        "dcw_wavelet": "haar",
        "repaint_start": 0.0,
        "repaint_end": None,
        "repaint_mode": "balanced",
        "repaint_strength": 0.5,
        "chunk_mask_mode": None,
        "cover_noise_strength": 0.0,
        "retake_seeds": (),
        "retake_variance": 0.0,
        "track_name": "",
        "track_classes": (),
        "use_tiled_decode": True,
        "source": None,
        "reference": None,
        "audio_format": "mp3",
        "model": "",
    }
    assert spec.plan is None
    assert len(spec.decode.seeds) == Settings().defaults.batch_size


def test_a_parameter_is_read_by_the_name_that_the_engines_have() -> None:
    """Otherwise an engine would always get the default, whatever a client sends."""
    read = {*GenerateRequest.model_fields, "cfg_interval"}
    made = {"seeds", "retake_seeds", "source", "reference", "decoder"}
    assert set(DecodeParameters.model_fields) - made <= read
    of_lm = {name.removeprefix("lm_") for name in read}
    assert set(PlanParameters.model_fields) - {"planner", "writing", "plan_per_take"} <= of_lm


async def test_a_plain_request_has_no_warnings(api: ApiHarness) -> None:
    answer = await api.submit(caption="upbeat pop song", lyrics="Hello", inference_steps=16)
    assert "warnings" not in answer.json()
    assert warnings_of(answer) == ""
