"""Fields that change the sound, together with others: what gets a warning, what is refused."""

from typing import Any

import pytest

from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import (
    BASE,
    MOCK_LM,
    TURBO,
    ApiHarness,
    field_errors,
    warnings_of,
)


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({}, ""),
        ({"dcw": False}, ""),
        ({"dcw_mode": "low", "dcw_scaler": 0.1}, ""),
        ({"dcw_high_scaler": 0.1}, ""),
        ({"dcw": False, "dcw_mode": "low"}, "Not used with dcw_enabled false: dcw_mode."),
        (
            {"dcw_mode": "low", "dcw_high_scaler": 0.1},
            "dcw_high_scaler is not used: it is for dcw_mode double.",
        ),
    ],
)
async def test_dcw_with_a_turbo_model(
    api: ApiHarness, fields: dict[str, Any], warning: str
) -> None:
    assert warnings_of(await api.submit(**fields)) == warning


async def test_strengths_of_a_correction_that_is_off_are_told(api: ApiHarness) -> None:
    api.service.deploy = Deployed((MOCK_LM,), (BASE,), ready=True)
    steps = {"inference_steps": 50}
    assert warnings_of(await api.submit(**steps)) == ""
    assert warnings_of(await api.submit(**steps, dcw_enabled=True, dcw_scaler=0.1)) == ""
    told = warnings_of(await api.submit(**steps, dcw_scaler=0.1))
    assert told.startswith("Not used: dcw_scaler. DCW is off by default for acestep-v15-base")


async def test_steps_that_are_not_made_as_asked_are_told(api: ApiHarness) -> None:
    told = warnings_of(await api.submit(infer_method="sde", sampler_mode="heun"))
    assert told == "sampler_mode heun is not used: it is for infer_method ode."
    told = warnings_of(await api.submit(timesteps="1,0.5,0", inference_steps=4, shift=2))
    assert told == "Not used with timesteps: inference_steps, shift."
    told = warnings_of(await api.submit(use_adg=True))
    assert told == "Not used by acestep-v15-turbo, a turbo model: use_adg."
    assert warnings_of(await api.submit(use_adg=False)) == ""


async def test_given_times_are_the_steps_that_the_work_counts(api: ApiHarness) -> None:
    times = [time / 100 for time in range(100, 10, -4)]
    answer = await api.submit(timesteps=times)
    assert "takes at most 20" in field_errors(answer)["timesteps"]
    api.service.deploy = Deployed((MOCK_LM,), (BASE,), ready=True)
    answer = await api.submit(timesteps=times, audio_duration=10, batch_size=1)
    assert warnings_of(answer) == "", "nothing is missing: the times say how many steps"
    assert (await api.stored(answer.json()["job_id"])).decode.steps == len(times) == 23
    assert api.service.submits[-1].work == 10 * 23


async def test_heuns_steps_are_twice_the_work(api: ApiHarness) -> None:
    """The ETA and the autoscaling count how often the model is asked."""
    song = {"audio_duration": 10, "batch_size": 1, "sampler_mode": "heun"}
    for method, work in (("ode", 10 * 8 * 2), ("sde", 10 * 8)):
        await api.submit(**song, infer_method=method)
        assert api.service.submits[-1].work == work


async def test_retakes(api: ApiHarness) -> None:
    takes = {"batch_size": 2, "use_random_seed": False, "seed": 1}
    for seed, seeds in ((5, (5, 6)), ("8,9", (8, 9)), ([3, 4], (3, 4))):
        spec = await api.spec(**takes, retake_seed=seed, retake_variance=0.1)
        assert (spec.decode.seeds, spec.decode.retake_seeds) == ((1, 2), seeds)
    drawn = (await api.spec(**takes, retake_variance=0.1)).decode.retake_seeds
    assert len(set(drawn)) == 2
    told = await api.submit(**takes, retake_seed=5)
    assert warnings_of(told) == "retake_seed is not used: retake_variance is 0."
    assert (await api.stored(told.json()["job_id"])).decode.retake_seeds == ()
    errors = field_errors(await api.submit(**takes, retake_seed="1,2,3", retake_variance=0.1))
    assert "lists 3 seeds, but there are 2 takes" in errors["retake_seed"]


async def test_repaint_fields_of_other_tasks_are_told(api: ApiHarness) -> None:
    repaint = {"repaint_mode": "balanced", "repaint_strength": 0.2, "chunk_mask_mode": "auto"}
    told = warnings_of(await api.submit(**repaint, cover_noise_strength=0.5))
    names = "repaint_mode, repaint_strength, chunk_mask_mode, cover_noise_strength"
    assert told == f"Not used for text2music: {names}."
    codes = {"audio_code_string": "<|audio_code_1|>" * 50}
    assert warnings_of(await api.submit(**codes, cover_noise_strength=0.5)) == ""


async def test_a_cover_without_codes_is_a_cover(api: ApiHarness) -> None:
    tasks = (*TURBO.tasks, "cover-nofsq")
    decoder = TURBO.model_copy(update={"tasks": tasks})
    api.service.deploy = Deployed((MOCK_LM,), (decoder,), ready=True)
    errors = field_errors(await api.submit(task_type="cover-nofsq"))
    assert "or audio_code_string" in errors["src_audio_path"]
    codes = {"audio_code_string": "<|audio_code_1|>" * 50, "audio_cover_strength": 0.5}
    answer = await api.submit(task_type="cover-nofsq", **codes)
    assert warnings_of(answer) == ""
    spec = await api.stored(answer.json()["job_id"])
    assert (spec.decode.task, len(spec.decode.codes)) == ("cover-nofsq", 1)
