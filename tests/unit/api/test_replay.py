"""Replay as in docs/api.md: the LM's plan, sent back, makes the same samples, bit for bit."""

from typing import Any

import numpy as np
import pytest

from acestep_ray.decoder.mock.engine import MockDecoder
from acestep_ray.decoder.protocol import Sources
from acestep_ray.jobs.engine_requests import decode_request, plan_request
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.codes import format_code_string
from acestep_ray.planner.mock.engine import MockPlanner
from acestep_ray.planner.plan_song import plan_song
from acestep_ray.planner.protocol import Plan
from acestep_ray.settings import Mock
from acestep_ray.timebase import Samples
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness

SAMPLE: dict[str, Any] = {"caption": None, "lyrics": None}
FAST = Mock(token_seconds=0, step_seconds=0)


async def planned(api: ApiHarness, spec: JobSpec) -> Plan:
    planner = MockPlanner(FAST, api.settings.lyrics, api.settings.defaults.duration)
    request = plan_request("job", 1, spec, api.settings)
    events = [event async for event in plan_song(planner, request)]
    assert isinstance(events[-1], Plan)
    return events[-1]


def takes(api: ApiHarness, spec: JobSpec, plan: Plan | None) -> list[Samples]:
    request = decode_request("job", 1, spec, plan, api.settings)
    made = MockDecoder(FAST).generate(request, Sources(), lambda *_: None)
    return [take.samples for take in made]


@pytest.mark.parametrize("as_metas", [False, True])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"use_cot_caption": True},
        {"bpm": 77, "audio_duration": 10.5},
        {"infer_type": "dit", "audio_duration": 10.5},
        {"infer_type": "dit", "key_scale": "A minor", "audio_duration": None},
        {"use_format": True},
        {"use_format": True, "use_5hz_lm": False, "bpm": 99},
        {**SAMPLE, "sample_query": "a sad French song"},
        {**SAMPLE, "sample_query": "rain", "vocal_language": "ja", "use_5hz_lm": False},
        {**SAMPLE, "sample_mode": True, "instrumental": True, "audio_duration": None},
    ],
)
async def test_the_plan_that_is_sent_back(
    api: ApiHarness, more: dict[str, Any], as_metas: bool
) -> None:
    asked: dict[str, Any] = {
        "caption": "slow sad ballad", "lyrics": "la la", "use_5hz_lm": True, "batch_size": 2,
        "use_random_seed": False, "seed": "7,8", "audio_duration": 12, **more,
    }  # fmt: skip
    spec = await api.spec(**asked)
    plan = await planned(api, spec)
    first = takes(api, spec, plan)
    job_id = await api.succeed(plan=plan)  # with the seeds 7 and 8
    result = (await api.http.get(f"/v1/jobs/{job_id}")).json()["result"]

    replay = {**asked, "use_5hz_lm": False, "seed": result["seed_value"]}
    if result["take_audio_codes"] is not None:
        replay["audio_code_string"] = result["audio_codes"]
    else:
        replay["audio_duration"] = len(first[0]) / 48_000  # the result's duration
    if as_metas:
        replay["metas"] = result["metas"]
    else:
        replay |= {
            "bpm": result["bpm"],
            "key_scale": result["keyscale"],
            "time_signature": result["timesignature"],
        }
    written = asked.keys() & {"use_format", "sample_query", "sample_mode"}
    assert bool(result["lm_lyrics"]) is bool(written)
    assert bool(result["lm_caption"]) is bool(written or asked.get("use_cot_caption"))
    if result["lm_caption"]:
        replay["caption"] = result["lm_caption"]
    if result["lm_lyrics"]:
        replay["lyrics"] = result["lm_lyrics"]
    replay = {
        name: value for name, value in replay.items() if name not in (*written, "instrumental")
    }
    replay["vocal_language"] = result["vocal_language"]
    again = takes(api, await api.spec(**replay), None)
    assert len(first) == len(again) == 2
    for ours, theirs in zip(first, again, strict=True):
        assert ours.any() and np.array_equal(ours, theirs)
    other = takes(api, await api.spec(**{**replay, "seed": "9,10"}), None)
    assert not np.array_equal(first[0], other[0])


SONG: dict[str, Any] = {
    "caption": "slow sad ballad", "lyrics": "la la", "audio_duration": 10, "bpm": 77,
    "key_scale": "A minor", "time_signature": "3", "use_random_seed": False,
}  # fmt: skip


async def test_a_take_of_several_is_the_one_that_its_seed_gives_alone(api: ApiHarness) -> None:
    spec = await api.spec(**SONG, use_5hz_lm=True, seed="7,8,9,8")
    plan = await planned(api, spec)
    assert len(set(plan.take_codes)) == 3
    together = takes(api, spec, plan)
    for take, seed in enumerate(spec.decode.seeds):
        asked = await api.spec(**SONG, use_5hz_lm=True, seed=seed, batch_size=1)
        own_plan = await planned(api, asked)
        assert (own_plan.codes, own_plan.take_codes) == (plan.take_codes[take], ())
        (alone,) = takes(api, asked, own_plan)
        assert np.array_equal(alone, together[take])
        # And from its codes, which GET /v1/jobs and POST /query_result list.
        codes = format_code_string(plan.take_codes[take])
        from_codes = await api.spec(**SONG, seed=seed, batch_size=1, audio_code_string=codes)
        (again,) = takes(api, from_codes, None)
        assert np.array_equal(again, together[take])


async def test_one_plan_for_all_takes_if_the_setting_says_so(make_api: MakeHarness) -> None:
    api = await make_api(lm={"plan_per_take": False})
    spec = await api.spec(**SONG, use_5hz_lm=True, seed="7,8")
    plan = await planned(api, spec)
    assert (len(plan.codes), plan.take_codes) == (50, ())
    await api.succeed(plan=plan)
    shared = decode_request("job", 1, spec, plan, api.settings)
    assert shared.codes == (plan.codes,)
    one, other = takes(api, spec, plan)
    assert not np.array_equal(one, other)
