"""What several values mean together: what is refused, what gets a warning, what is stored."""

from dataclasses import replace
from typing import Any

import pytest

from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import (
    BASE,
    MOCK_LM,
    NOTHING,
    TURBO,
    ApiHarness,
    field_errors,
    problem_of,
    warnings_of,
)

CODES = "<|audio_code_1|>" * 50


async def test_a_submit_tells_the_decoders_work(api: ApiHarness) -> None:
    for fields, work in (
        ({"audio_duration": 10, "inference_steps": 8, "batch_size": 2}, 10 * 8 * 2),
        ({"inference_steps": 4, "batch_size": 1}, 60 * 4),
        ({"audio_code_string": "1,2,3,4,5", "batch_size": 1}, 1.0 * 8),
        ({"use_5hz_lm": True, "lyrics": "la " * 200, "batch_size": 1}, 200 / 2.2 * 8),
    ):
        await api.submit(**fields)
        assert api.service.submits[-1].work == pytest.approx(work)


async def test_the_default_instructions_mean_that_none_is_given(api: ApiHarness) -> None:
    for sentence in (
        "Fill the mask based on the given conditions:",
        " Fill the audio semantic mask based on the given conditions:\n",
    ):
        for more in ({}, {"audio_code_string": CODES}, {"use_5hz_lm": True}):
            answer = await api.submit(instruction=sentence, **more)
            assert warnings_of(answer) == ""
            assert (await api.stored(answer.json()["job_id"])).decode.instruction == ""


async def test_codes_have_the_covers_instruction_and_the_job_says_so(api: ApiHarness) -> None:
    own = {"instruction": "Sing it low:"}
    reported = "instruction is not used: audio codes have the cover's."
    for codes in ({"audio_code_string": CODES}, {"use_5hz_lm": True}):
        assert warnings_of(await api.submit(**own, **codes)) == reported
    for without in ({}, {"use_5hz_lm": True, "infer_type": "dit"}):
        answer = await api.submit(**own, **without)
        assert warnings_of(answer) == ""
        assert (await api.stored(answer.json()["job_id"])).decode.instruction == "Sing it low:"
    cover = await api.submit(task_type="cover", audio_code_string=CODES, **own)
    assert warnings_of(cover) == ""


async def test_llm_dit_needs_codes_from_somewhere(api: ApiHarness) -> None:
    errors = field_errors(await api.submit(infer_type="llm_dit"))
    assert "audio_code_string" in errors["infer_type"] and "use_5hz_lm" in errors["infer_type"]
    for good in ({"use_5hz_lm": True}, {"audio_code_string": CODES}):
        assert (await api.submit(infer_type="llm_dit", **good)).status_code == 200


async def test_codes(api: ApiHarness) -> None:
    answer = await api.submit(audio_code_string=CODES, audio_duration=10)
    assert "warnings" not in answer.json()
    spec = await api.stored(answer.json()["job_id"])
    assert (spec.decode.task, spec.decode.codes, spec.plan) == ("text2music", ((1,) * 50,), None)
    assert spec.decode.duration is None and len(spec.decode.seeds) == 2
    reported = warnings_of(await api.submit(audio_code_string=CODES, audio_duration=30))
    assert reported == "audio_duration is not used: the audio codes make 10 s."
    lm = warnings_of(await api.submit(audio_code_string=CODES, use_5hz_lm=True))
    assert lm == "The LM is skipped (use_5hz_lm): audio codes came."


async def test_codes_a_take(api: ApiHarness) -> None:
    three = [f"<|audio_code_{n}|>" for n in (1, 2, 3)]
    spec = await api.spec(audio_code_string=three)
    assert spec.decode.codes == ((1,), (2,), (3,)) and len(spec.decode.seeds) == 3
    assert len((await api.spec(audio_code_string=three[:1])).decode.seeds) == 2
    errors = field_errors(await api.submit(audio_code_string=three, batch_size=2))
    assert "batch_size is 2" in errors["audio_code_string"]
    both = field_errors(
        await api.submit(audio_code_string=three, seed=[1, 2], use_random_seed=False)
    )
    assert set(both) == {"seed"}


async def test_codes_that_do_not_count(api: ApiHarness) -> None:
    answer = await api.submit(audio_code_string=CODES, infer_type="dit", use_5hz_lm=True)
    spec = await api.stored(answer.json()["job_id"])
    assert spec.decode.codes == () and spec.plan and spec.plan.infer_type == "dit"
    assert warnings_of(answer) == "audio_code_string is not used with infer_type dit."
    errors = field_errors(await api.submit(audio_code_string=CODES, task_type="repaint"))
    assert set(errors) == {"src_audio_path"}  # repaint needs its source, with codes or without


async def test_what_a_turbo_model_does_not_do(api: ApiHarness) -> None:
    reported = (await api.submit(guidance_scale=7, cfg_interval_end=0.5, inference_steps=21)).json()
    assert reported["warnings"] == [
        "acestep-v15-turbo is a turbo model, made for 8 steps; 21 are run as asked.",
        "Not used by acestep-v15-turbo, a turbo model: guidance_scale, cfg_interval_end.",
    ]
    assert (await api.stored(reported["job_id"])).decode.steps == 21
    api.service.deploy = Deployed((MOCK_LM,), (BASE,), ready=True)
    base = await api.submit(guidance_scale=7, cfg_interval_end=0.5, inference_steps=50)
    assert "warnings" not in base.json()


@pytest.mark.parametrize(
    ("model", "turbo", "steps", "shift"),
    [
        ("acestep-v15-turbo", True, 8, 3.0),
        ("acestep-v15-xl-turbo", True, 8, 3.0),
        ("acestep-v15-turbo-shift1", True, 8, 1.0),
        ("acestep-v15-turbo-shift3", True, 8, 3.0),
        ("acestep-v15-base", False, 50, 3.0),
        ("acestep-v15-xl-sft", False, 50, 3.0),
    ],
)
async def test_steps_and_shift_are_the_models_own(
    api: ApiHarness, model: str, turbo: bool, steps: int, shift: float
) -> None:
    """A song that is made with a turbo model's 8 steps by another model is noise."""
    decoder = BASE.model_copy(update={"model": model, "turbo": turbo})
    api.service.deploy = Deployed((MOCK_LM,), (decoder,), ready=True)
    answer = await api.submit()
    assert "warnings" not in answer.json()
    decode = (await api.stored(answer.json()["job_id"])).decode
    assert (decode.steps, decode.shift) == (steps, shift)
    sent = (await api.spec(inference_steps=12, shift=2)).decode  # a client gets what it sends
    assert (sent.steps, sent.shift) == (12, 2.0)
    assert (await api.spec(timesteps="0.9,0.5")).decode.steps == 2
    api.service.deploy = Deployed((MOCK_LM,), (TURBO, decoder), ready=True)
    assert (await api.spec()).decode.steps == 8
    named = (await api.spec(model=model)).decode
    assert (named.steps, named.shift) == (steps, shift)


async def test_a_global_caption_is_for_models_of_tracks(api: ApiHarness) -> None:
    """On any other model it would be lost."""
    refused = field_errors(await api.submit(global_caption="a rock song"))
    assert "say it in caption" in refused["global_caption"]
    tracks = BASE.model_copy(update={"lego_sft": True})
    api.service.deploy = Deployed((MOCK_LM,), (TURBO, tracks), ready=True)
    spec = await api.spec(model=tracks.model, caption="drums", global_caption="a rock song")
    assert spec.decode.global_caption == "a rock song" and spec.warnings == ()


async def test_a_song_that_nothing_is_said_about(api: ApiHarness) -> None:
    nothing = (
        "Nothing says what the song is about: caption and lyrics are empty; send caption, such as "
        '"upbeat pop song".'
    )
    for body in ({}, {"caption": " \n"}, {"bpm": 90, "use_5hz_lm": True}):
        answer = await api.submit(**{"caption": None, **body})
        assert answer.json()["warnings"] == [nothing]
        job = (await api.http.get(f"/v1/jobs/{answer.json()['job_id']}")).json()
        assert job["warnings"] == [nothing]
    typo = warnings_of(await api.submit(caption=None, captoin="jazz"))
    assert typo == f"Unknown fields, ignored: captoin. {nothing}"
    for body in ({"lyrics": "la"}, {"prompt": "jazz"}, {"audio_code_string": CODES}):
        assert "warnings" not in (await api.submit(**{"caption": None, **body})).json()


async def test_tasks_that_the_model_does_not_do(api: ApiHarness) -> None:
    for task in ("lego", "extract", "complete"):
        answer = await api.submit(task_type=task)
        errors = field_errors(answer)
        assert "acestep-v15-turbo does text2music, cover, repaint" in errors["task_type"]
        legal = {entry["field"]: entry["legal"] for entry in answer.json()["errors"]}
        assert legal["task_type"] == "text2music, cover or repaint"
    api.service.deploy = Deployed((MOCK_LM,), (TURBO, BASE), ready=True)
    assert set(field_errors(await api.submit(task_type="lego"))) == {"src_audio_path"}
    answer = await api.submit(task_type="lego", model="acestep-v15-turbo")
    wrong = field_errors(answer)
    assert "acestep-v15-base does" in wrong["task_type"]
    legal = {entry["field"]: entry["legal"] for entry in answer.json()["errors"]}
    assert legal["task_type"] == "text2music, cover or repaint"
    unknown = (await api.submit(task_type="stems", model="none")).json()["errors"]
    assert {entry["field"]: entry["legal"] for entry in unknown} == {
        "task_type": "text2music, cover, cover-nofsq or repaint; with a base model also lego, "
        "extract or complete",
        "model": "acestep-v15-turbo or acestep-v15-base, or null",
    }


async def test_the_tracks_of_the_other_tasks_are_not_lost(api: ApiHarness) -> None:
    """Which track a job is about: lego and extract use one by name, complete uses several."""
    api.service.deploy = Deployed((MOCK_LM,), (BASE,), ready=True)
    for task, wrong, right in (
        ("lego", {"track_classes": ["bass"]}, "track_name"),
        ("extract", {"instruments": "bass"}, "track_name"),
        ("complete", {"track_name": "bass"}, "track_classes"),
    ):
        errors = field_errors(await api.submit(task_type=task, src_audio_path="/x", **wrong))
        (reported,) = errors.values()
        assert reported.endswith(f" is not for {task}: send {right}.")
        both = await api.submit(task_type=task, track_name="bass", track_classes="drums")
        assert set(field_errors(both)) == {"src_audio_path"}
    reported = warnings_of(await api.submit(track_classes=["bass"], inference_steps=50))
    assert reported == "Not used for text2music: track_classes."


async def test_the_model_is_fixed_where_it_matters(api: ApiHarness) -> None:
    api.service.deploy = Deployed((MOCK_LM,), (TURBO, BASE), ready=True)
    assert (await api.spec()).decode.model == ""
    assert (await api.spec(model="Acestep-v15-BASE")).decode.model == "acestep-v15-base"
    assert (await api.spec(model="acestep-v15-turbo")).decode.model == "acestep-v15-turbo"


async def test_a_job_is_for_one_of_several_decoders(make_api: MakeHarness) -> None:
    both = [{"model": one.model, "backend": "mock"} for one in (TURBO, BASE)]
    api = await make_api(decoders=both)
    turbo, base = (
        one.model_copy(update={"deployment": f"Decoder-{one.model}"}) for one in (TURBO, BASE)
    )
    api.service.deploy = Deployed((MOCK_LM,), (turbo, base), ready=True)
    for fields, chosen in (({}, turbo), ({"model": base.model}, base)):
        decode = (await api.spec(**fields)).decode
        assert (decode.model, decode.decoder) == (chosen.model, chosen.deployment)
        assert api.service.submits[-1].decoder == chosen.deployment
    error = field_errors(await api.submit(task_type="lego", model=turbo.model))["task_type"]
    assert f"not supported by {turbo.model}" in error and f"{base.model} does" in error


async def test_a_model_that_never_was_up_is_waited_for(api: ApiHarness) -> None:
    api.service.deploy = Deployed((MOCK_LM,), (TURBO,), ready=True, unknown=(BASE.model,))
    answer = await api.submit(model=BASE.model)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await api.submit(model="other")).status_code == 422
    # It may be the one that can do what the others cannot, or the default.
    assert (await api.submit(task_type="lego")).status_code == 503
    assert (await api.submit(task_type="lego", model=TURBO.model)).status_code == 422
    api.service.deploy = replace(api.service.deploy, default_known=False)
    assert (await api.submit()).status_code == 503
    assert (await api.submit(model=TURBO.model)).status_code == 200


@pytest.mark.parametrize("task", ["cover", "repaint"])
async def test_tasks_without_their_source(api: ApiHarness, task: str) -> None:
    error = field_errors(await api.submit(task_type=task))["src_audio_path"]
    assert "src_audio" in error
    assert ("audio_code_string" in error) == (task == "cover")
    assert await api.queued() == 0


@pytest.mark.parametrize(("start", "end"), [(5, 5), (5, 4.9), (0, 0), (0, -0.5), (-2, -3)])
async def test_a_window_that_ends_before_it_starts(
    api: ApiHarness, start: float, end: float
) -> None:
    answer = await api.submit(
        task_type="repaint", src_audio_path="/x", repainting_start=start, repainting_end=end
    )
    error = field_errors(answer)["repainting_end"]
    assert "must lie after repainting_start" in error


async def test_the_cfg_interval(api: ApiHarness) -> None:
    errors = field_errors(await api.submit(cfg_interval_start=0.6, cfg_interval_end=0.5))
    assert "cfg_interval_start (0.6)" in errors["cfg_interval_end"]
    equal = await api.spec(cfg_interval_start=0.5, cfg_interval_end=0.5)
    assert equal.decode.cfg_interval == (0.5, 0.5)


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"use_adg": True}, "Not used by acestep-v15-turbo, a turbo model: use_adg."),
        (
            {"repainting_start": 1, "repainting_end": 2, "track_name": "bass"},
            "Not used for text2music: repainting_start, repainting_end, track_name.",
        ),
        ({"audio_cover_strength": 0.5}, "Not used for text2music: audio_cover_strength."),
    ],
)
async def test_what_does_not_apply_is_a_warning(
    api: ApiHarness, fields: dict[str, Any], warning: str
) -> None:
    answer = await api.submit(**fields)
    assert answer.json()["warnings"] == [warning]
    job = (await api.http.get(f"/v1/jobs/{answer.json()['job_id']}")).json()
    assert job["warnings"] == [warning]


async def test_cover_strength_applies_to_codes(api: ApiHarness) -> None:
    for fields in ({"use_5hz_lm": True}, {"audio_code_string": CODES}):
        answer = await api.submit(audio_cover_strength=0.5, **fields)
        assert "warnings" not in answer.json()


async def test_rules_and_values_are_told_together(api: ApiHarness) -> None:
    errors = field_errors(
        await api.submit(bpm=5, model="none", task_type="repaint", infer_type="x", seed="y")
    )
    assert set(errors) == {"bpm", "model", "src_audio_path", "infer_type", "seed"}


async def test_before_anything_is_up(api: ApiHarness) -> None:
    api.service.deploy = NOTHING
    answer = await api.submit(caption="x")
    problem = problem_of(answer, 503, "not_ready")
    assert answer.headers["retry-after"] and "No decoder replica is up yet." in problem["detail"]
    assert set(field_errors(await api.submit(bpm=5))) == {"bpm"}  # wrong now and later
    api.service.deploy = Deployed((), (TURBO,), ready=False, reasons=("No planner.",))
    problem_of(await api.submit(use_5hz_lm=True), 503, "not_ready")
    assert (await api.submit(caption="x")).status_code == 200
