"""What several values mean for the language model: which one plans a job, or whether none does."""

from dataclasses import replace
from typing import Any

import pytest

from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import (
    BASE,
    MOCK_LM,
    ApiHarness,
    field_errors,
    warnings_of,
)


async def test_the_lm_as_documented(api: ApiHarness) -> None:
    answer = await api.submit(
        caption="upbeat pop song", lyrics="Hello world", use_5hz_lm=True, lm_temperature=0.6,
        lm_cfg_scale=1.0, lm_top_k=0, lm_top_p=1.0, lm_repetition_penalty=1.0, lm_backend="vllm",
    )  # fmt: skip
    assert "warnings" not in answer.json()
    lm = (await api.stored(answer.json()["job_id"])).plan
    assert lm and lm.model_dump() == {
        "model": "",
        "backend": "mock",
        "infer_type": "llm_dit",
        "temperature": 0.6,
        "cfg_scale": 1.0,
        "negative_prompt": "NO USER INPUT",
        "use_cot_caption": False,
        "use_cot_language": None,
        "writing": None,
        "top_k": None,
        "top_p": None,
        "repetition_penalty": 1.0,
        "planner": "Planner",
        "plan_per_take": True,
    }
    submit = api.service.submits[-1]
    assert (submit.needs_plan, submit.planner) == (True, "Planner")


@pytest.mark.parametrize(
    ("fields", "chooses"),
    [
        ({}, None),
        ({"vocal_language": ""}, None),
        ({"vocal_language": "unknown"}, None),
        ({"vocal_language": "en"}, False),  # what the user says, codes and decoder follow
        ({"vocal_language": "ja"}, False),
        ({"vocal_language": "ja", "use_cot_language": True}, True),
        ({"vocal_language": "en", "use_format": True}, None),  # clients send en by default
    ],
)
async def test_a_language_that_is_sent_is_that_of_the_codes(
    api: ApiHarness, fields: dict[str, Any], chooses: bool | None
) -> None:
    spec = await api.spec(use_5hz_lm=True, **fields)
    assert spec.plan and spec.plan.use_cot_language is chooses


async def test_values_of_the_lm(api: ApiHarness) -> None:
    spec = await api.spec(
        use_5hz_lm=True, lm_cfg_scale=0.5, lm_top_k=40, lm_top_p=0.9, infer_type="DIT"
    )
    assert spec.plan
    assert (spec.plan.cfg_scale, spec.plan.top_k, spec.plan.top_p) == (1.0, 40, 0.9)
    assert spec.plan.infer_type == "dit"
    assert (await api.spec()).plan is None
    assert not api.service.submits[-1].needs_plan


async def test_lm_values_without_the_lm_are_one_warning(api: ApiHarness) -> None:
    reported = (await api.submit(lm_temperature=0.9, lm_top_k=5, use_cot_caption=True)).json()
    assert reported["warnings"] == [
        "Not used without use_5hz_lm: lm_temperature, lm_top_k, use_cot_caption."
    ]


@pytest.mark.parametrize("task", ["cover", "repaint"])
async def test_the_lm_is_skipped_where_there_is_nothing_to_plan(api: ApiHarness, task: str) -> None:
    errors = field_errors(await api.submit(use_5hz_lm=True, task_type=task))
    assert set(errors) == {"src_audio_path"}
    answer = await api.submit(
        use_5hz_lm=True,
        task_type="cover",
        audio_code_string="<|audio_code_1|>" * 50,
        lm_temperature=1,
    )
    assert answer.json()["warnings"] == ["The LM is skipped (use_5hz_lm): audio codes came."]
    assert (await api.stored(answer.json()["job_id"])).plan is None


@pytest.mark.parametrize(
    "name",
    [
        "acestep-5Hz-lm-4B",
        "ACESTEP-5hz-lm-4b",
        "checkpoints/acestep-5Hz-lm-4B",
        "c:\\lm\\acestep-5Hz-lm-4B\\",
    ],
)
async def test_lm_by_name(api: ApiHarness, name: str) -> None:
    spec = await api.spec(use_5hz_lm=True, lm_model_path=name)
    assert spec.plan and spec.plan.model == "acestep-5Hz-lm-4B"


async def test_unknown_models_are_refused_with_those_there_are(api: ApiHarness) -> None:
    errors = field_errors(
        await api.submit(use_5hz_lm=True, lm_model_path="/etc/lm-9B", model="acestep-v16")
    )
    for name in MOCK_LM.models:
        assert name in errors["lm_model_path"]
    assert "/etc" not in errors["lm_model_path"]
    assert "acestep-v15-turbo" in errors["model"]
    unknown = await api.submit(use_5hz_lm=True, lm_model_path="other")
    assert unknown.json()["errors"][0]["legal"] == (
        "acestep-5Hz-lm-0.6B, acestep-5Hz-lm-1.7B or acestep-5Hz-lm-4B, or null"
    )
    unused = field_errors(await api.submit(lm_model_path="other"))
    assert "acestep-5Hz-lm-0.6B" in unused["lm_model_path"]


async def test_a_backend_that_is_not_deployed_is_served_with_a_warning(api: ApiHarness) -> None:
    for backend in ("vllm", "pt"):
        quiet = await api.submit(use_5hz_lm=True, lm_backend=backend)
        assert "warnings" not in quiet.json()  # the mock replaces both
    pt = PlannerDescription(engine="pt", models=("acestep-5Hz-lm-1.7B",), mock=False)
    api.service.deploy = Deployed((pt,), (BASE,), ready=True)
    answer = await api.submit(use_5hz_lm=True, lm_backend="vllm", inference_steps=50)
    assert warnings_of(answer) == "lm_backend vllm is not deployed; pt serves the LM."
    lm = (await api.stored(answer.json()["job_id"])).plan
    assert lm and lm.backend == "pt"
    quiet = await api.submit(use_5hz_lm=True, inference_steps=50)
    assert "warnings" not in quiet.json()  # not requested


async def test_the_backend_chooses_among_planners(api: ApiHarness) -> None:
    vllm, pt = (
        PlannerDescription(engine=engine, models=("lm",), mock=False) for engine in ("vllm", "pt")
    )
    api.service.deploy = Deployed((vllm, pt), (BASE,), ready=True)
    for backend in ("pt", "vllm"):
        spec = await api.spec(use_5hz_lm=True, lm_backend=backend)
        assert spec.plan and spec.plan.backend == backend


async def test_a_job_waits_for_the_planner_of_its_model_and_backend(api: ApiHarness) -> None:
    pairs = [("small", "vllm"), ("large", "vllm"), ("large", "pt")]
    api.service.deploy = Deployed(
        tuple(
            PlannerDescription(
                engine=engine, models=(model,), mock=False, deployment=f"{model} on {engine}"
            )
            for model, engine in pairs
        ),
        (BASE,),
        ready=True,
    )
    for fields, planner in (
        ({}, "small on vllm"),
        ({"lm_backend": "pt"}, "large on pt"),
        ({"lm_model_path": "large"}, "large on vllm"),
        ({"lm_model_path": "checkpoints/LARGE", "lm_backend": "pt"}, "large on pt"),
    ):
        await api.submit(use_5hz_lm=True, **fields)
        assert api.service.submits[-1].planner == planner
    # Without a name the first is used, whatever the field's default is.
    deployed = api.service.deploy
    api.service.deploy = replace(deployed, planners=deployed.planners[::-1])
    await api.submit(use_5hz_lm=True)
    assert api.service.submits[-1].planner == "large on pt"
    answer = await api.submit(
        use_5hz_lm=True, lm_model_path="small", lm_backend="pt", inference_steps=50
    )
    assert warnings_of(answer) == "lm_backend pt is not deployed for small; vllm serves the LM."
    assert api.service.submits[-1].planner == "small on vllm"
    errors = field_errors(await api.submit(use_5hz_lm=True, lm_model_path="huge"))
    assert "deployed: large, small." in errors["lm_model_path"]


async def test_a_negative_prompt_needs_guidance(api: ApiHarness) -> None:
    for prompt, scale, used in (
        ("noise", 1, False),
        ("noise", 2, True),
        ("NO USER INPUT", 1, True),
        ("  no user input\n", 1, True),
        (" \n", 1, True),
    ):
        answer = await api.submit(use_5hz_lm=True, lm_negative_prompt=prompt, lm_cfg_scale=scale)
        assert ("lm_negative_prompt is not used" in warnings_of(answer)) is not used


async def test_a_caption_that_the_lm_will_not_write_is_told(api: ApiHarness) -> None:
    song: dict[str, Any] = {"use_5hz_lm": True, "use_cot_caption": True, "bpm": 90}
    song |= {"key_scale": "C major", "time_signature": "4"}
    assert warnings_of(await api.submit(**song)) == ""
    assert "use_cot_caption is not used" in warnings_of(await api.submit(**song, audio_duration=30))
    plain = song | {"use_cot_caption": False, "audio_duration": 30}
    assert warnings_of(await api.submit(**plain)) == ""


@pytest.mark.parametrize("seconds", [1, 9.99])
async def test_short_songs_are_not_for_the_lm(api: ApiHarness, seconds: float) -> None:
    assert (await api.spec(audio_duration=seconds)).decode.duration == seconds
    errors = field_errors(await api.submit(audio_duration=seconds, use_5hz_lm=True))
    assert "from 10 to 600 seconds with use_5hz_lm" in errors["audio_duration"]
    assert (await api.spec(audio_duration=10, use_5hz_lm=True)).decode.duration == 10
