"""The engine as the deployment sees it, with vLLM in processes of its own, on the CPU.

The last test kills it, and continues with another: files whose tests need it have earlier names.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import tokens_input

from acestep_ray.planner.context import codes_prompt_ids
from acestep_ray.planner.grammar import Given
from acestep_ray.planner.prepared_request import prepare_request
from acestep_ray.planner.protocol import (
    EngineDied,
    Plan,
    PlannerError,
    PlanProgress,
    PlanRequest,
)
from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.phases import write_codes
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.vllm import requests
from acestep_ray.planner.vllm.engine import VllmPlanner
from acestep_ray.planner.vllm.planning import Planning as VllmPlanning
from acestep_ray.settings import Settings
from acestep_ray.timebase import codes_of_seconds
from tests.models.planner.vllm.songs import FORCED, HOSTILE, request, song, text_alone
from tests.models.planner.vllm.started import LM, PLANS, load, nothing_left

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def plan_of(engine: VllmPlanner, wanted: PlanRequest) -> Plan:
    *progress, plan = [event async for event in engine.plan(wanted)]
    assert isinstance(plan, Plan)
    assert all(isinstance(event, PlanProgress) for event in progress)
    return plan


def plan_of_pt(planning: Planning, wanted: PlanRequest) -> Plan:
    return planning.plan(wanted, lambda *_: None)


def codes_of_pt(lm: LanguageModel, wanted: PlanRequest, plan: Plan) -> tuple[int, ...]:
    """What the ``pt`` engine writes after metadata that vLLM's LM wrote."""
    prepared = prepare_request(wanted, lm.tokenizer, LM.context)
    cot = Given.all_of(plan.metadata)
    prompts = [codes_prompt_ids(lm.tokenizer, wanted.caption, wanted.lyrics, cot)]
    if prepared.unconditional_prompt:
        prompts.append(prepared.unconditional_prompt)
    count = codes_of_seconds(plan.seconds)
    with torch.inference_mode():
        sampling = Sampling.of(wanted, Phase.CODES)
        return tuple(write_codes(lm.rows(prompts, count), count, [sampling])[0])


async def test_events(engine: VllmPlanner) -> None:
    events = [event async for event in engine.plan(request(duration=60, cfg_scale=2))]
    plan = events.pop()
    assert isinstance(plan, Plan)
    assert (len(plan.codes), plan.seconds, plan.model) == (300, 60, "acestep-5Hz-lm-tiny")
    assert not plan.mock
    steps = [(event.stage, event.step, event.total) for event in events]  # type: ignore[union-attr]
    assert steps[0] == ("metadata", 0, 6)
    at = steps.index(("codes", 0, 300))
    assert steps[at - 1] == ("metadata", 6, 6)
    assert steps[-1] == ("codes", 300, 300)
    assert steps == sorted(set(steps), key=lambda step: (step[0] == "codes", step[1]))
    assert len(steps) <= 6 + plan.elapsed / 0.25  # far less often than once per token


async def test_it_describes_itself_and_knows_no_other_model(engine: VllmPlanner) -> None:
    described = engine.describe()
    assert (described.engine, described.models, described.mock) == (
        "vllm",
        ("acestep-5Hz-lm-tiny",),
        False,
    )
    with pytest.raises(PlannerError, match="there are: acestep-5Hz-lm-tiny"):
        await plan_of(engine, request(model="acestep-5Hz-lm-4B"))
    with pytest.raises(PlannerError, match="cannot fit"):
        await plan_of(engine, request(lyrics="la " * 9000))


async def test_many_at_once_are_planned_as_pt_plans_them_one_by_one(
    engine: VllmPlanner, lm: LanguageModel, terse: Planning
) -> None:
    """Four times as many as there are places, beginning and ending."""
    rng = random.Random(0)

    async def planned(wanted: PlanRequest) -> Plan:
        await asyncio.sleep(rng.random() * 2)
        return await plan_of(engine, wanted)

    async def given_up(wanted: PlanRequest, events: int) -> None:
        await asyncio.sleep(rng.random() * 2)
        async with aclosing(engine.plan(wanted)) as stream:
            async for _ in stream:
                if (events := events - 1) < 0:
                    return

    wanted = [song(number) for number in range(16)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(planned(one)) for one in wanted]
        for number in range(6):
            long = song(number).model_copy(update={"duration": 300, "lyrics": "la"})
            group.create_task(given_up(long, number))
    await nothing_left(engine)
    plans = [task.result() for task in tasks]
    assert len({plan.codes for plan in plans}) == len(plans)
    for one, plan in zip(wanted, plans, strict=True):
        expected = plan_of_pt(terse, one).codes if one.bpm else codes_of_pt(lm, one, plan)
        assert plan.codes == expected, one


async def test_cancelling_the_reader_ends_the_request(engine: VllmPlanner) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(engine.plan(request(duration=600, cfg_scale=2, **FORCED))) as events:
            async for _ in events:
                begun.set()

    tasks = [asyncio.create_task(read()) for _ in range(PLANS + 2)]  # two of them wait
    await begun.wait()
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError)
    await nothing_left(engine)


async def test_as_many_codes_as_the_song_has_seconds(engine: VllmPlanner) -> None:
    async def counted(seconds: float, **fields: Any) -> int:
        plan = await plan_of(engine, request(duration=seconds, **FORCED, **fields))
        assert all(0 <= code <= 63_999 for code in plan.codes)
        return len(plan.codes)

    kinds: tuple[dict[str, Any], ...] = ({"seed": 1}, {"cfg_scale": 2, "temperature": 1.0})
    short = await asyncio.gather(*(counted(10, **kind) for kind in kinds))
    long = await asyncio.gather(*(counted(600, **kind) for kind in kinds))
    assert short == [50, 50]
    assert long == [3000, 3000]


async def test_the_codes_phase_finds_the_prompt_in_the_cache(
    engine: VllmPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm = engine._requests._engine
    generate = vllm.generate
    cached: list[int] = []

    async def watched(*args: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(generate(*args)) as outputs:
            async for output in outputs:
                yield output
        cached.append(output.num_cached_tokens or 0)

    monkeypatch.setattr(vllm, "generate", watched)
    await plan_of(engine, request(lyrics="no line of this song was sung before " * 40))
    metadata, codes = cached
    assert metadata < 128 <= codes


def legal(wanted: PlanRequest, plan: Plan) -> None:
    metadata, given = plan.metadata, Given.of(wanted)
    for name in ("bpm", "duration", "keyscale", "language", "timesignature"):
        assert getattr(given, name) in (None, "", getattr(metadata, name))
    Given.all_of(metadata)  # raises if a value is not legal
    assert bool(metadata.caption) is wanted.use_cot_caption
    assert "\n" not in (metadata.caption or "")
    assert "\N{REPLACEMENT CHARACTER}" not in (metadata.caption or "")
    assert metadata.duration <= wanted.max_duration


async def test_metadata_is_legal_every_time(engine: VllmPlanner) -> None:
    requests = [text_alone(number) for number in range(100)]
    places = asyncio.Semaphore(2 * PLANS)  # one row each

    async def planned(one: PlanRequest) -> Plan:
        async with places:
            return await plan_of(engine, one)

    plans = await asyncio.gather(*map(planned, requests))
    for one, plan in zip(requests, plans, strict=True):
        if one.bpm and one.duration and one.key_scale and one.time_signature:
            continue  # the LM was not used
        legal(one, plan)


async def test_captions_as_long_as_they_get(engine: VllmPlanner, lm: LanguageModel) -> None:
    """Random weights do not end them: the grammar does, and in time for the codes."""
    settings = Settings(lm=LM.model_copy(update={"caption_tokens": 512}))
    planning = VllmPlanning(engine._requests, lm.tokenizer, "wordy", settings)
    wanted = [
        request(temperature=temperature, bpm=300, use_cot_caption=True)
        for temperature in (0.0, 2.0)
    ]

    async def planned(one: PlanRequest) -> Plan:
        *_, plan = [event async for event in planning.plan(one)]
        assert isinstance(plan, Plan)
        return plan

    for one, plan in zip(wanted, await asyncio.gather(*map(planned, wanted)), strict=True):
        legal(one, plan)
        assert len(plan.metadata.caption or "") > 100
        assert plan.codes == codes_of_pt(lm, one, plan)


@pytest.mark.parametrize("field", sorted(PlanRequest.model_fields))
async def test_hostile_values_cost_only_their_own_request(
    engine: VllmPlanner, terse: Planning, field: str
) -> None:
    neighbour = request(seed=7, cfg_scale=2, **FORCED)
    alone = plan_of_pt(terse, neighbour)
    base = request(max_duration=20, **FORCED)
    hostile = [base.model_copy(update={field: value}) for value in HOSTILE]
    outcomes = await asyncio.gather(
        plan_of(engine, neighbour),
        *(plan_of(engine, one) for one in hostile),
        return_exceptions=True,
    )
    for value, outcome in zip((neighbour, *HOSTILE), outcomes, strict=True):
        if isinstance(outcome, Exception):
            assert isinstance(outcome, PlannerError), repr(value)
            assert "\n" not in str(outcome)
        else:
            assert isinstance(outcome, Plan)
    assert isinstance(outcomes[0], Plan)
    assert outcomes[0].codes == alone.codes
    await engine.check()


@pytest.mark.parametrize(
    ("prompt", "params"),
    [
        ([217_204], SamplingParams()),
        ([1], SamplingParams(extra_args={"acestep": {"uncond": [217_204], "cfg_scale": 2}})),
        ([1], SamplingParams(allowed_token_ids=list(range(1025)))),
        ([1], SamplingParams(seed=1, temperature=0.5)),
        ([1], SamplingParams(extra_args={"acestep": {"uncond": None}})),
    ],
)
async def test_hostile_requests_at_vllm_itself(
    engine: VllmPlanner, prompt: list[int], params: SamplingParams
) -> None:
    vllm = engine._requests._engine
    with pytest.raises(VLLMValidationError):
        async for _ in vllm.generate(tokens_input(prompt), params, "hostile"):
            pass
    assert len((await plan_of(engine, request(**FORCED))).codes) == 50


def processes() -> list[psutil.Process]:
    """vLLM's processes, below this one."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.is_running() and "VLLM::" in child.name()]


async def no_processes() -> None:
    async with asyncio.timeout(30):
        while [child for child in processes() if child.status() != psutil.STATUS_ZOMBIE]:
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def prefixless(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, its tensors named as in some publications, with one too many."""
    checkpoints = tmp_path_factory.mktemp("prefixless")
    there = checkpoints / "acestep-5Hz-lm-plain"
    there.mkdir()
    for name in ("config.json", "tokenizer.json"):
        os.link(folder / name, there / name)
    tensors = load_file(folder / "model.safetensors")
    named = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    save_file(named | {"extra": torch.ones(1)}, there / "model.safetensors")
    return checkpoints


async def test_an_engine_that_hangs_is_told_from_one_that_works(
    engine: VllmPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like a kernel that never ends; without the check every later job would wait for it."""
    monkeypatch.setattr(requests, "HANG_SECONDS", 0.5)
    wanted = request(duration=60, **FORCED)
    alone = await plan_of(engine, wanted)
    (core,) = [process for process in processes() if "EngineCore" in process.name()]
    async with aclosing(engine.plan(wanted)) as events:
        await anext(events)
        core.suspend()
        with pytest.raises(EngineDied, match="has written nothing for"):
            async with asyncio.timeout(60):
                while True:
                    await engine.check()
                    await asyncio.sleep(0.05)
        core.resume()
    monkeypatch.undo()
    await nothing_left(engine)
    await engine.check()  # when it is idle, it is not expected to write
    assert (await plan_of(engine, wanted)).codes == alone.codes


async def test_a_dead_engine_says_so_and_another_takes_its_place(
    engine: VllmPlanner, prefixless: Path, terse: Planning
) -> None:
    long = request(duration=600, cfg_scale=2, **FORCED)
    streams = [asyncio.create_task(plan_of(engine, long)) for _ in range(3)]
    await asyncio.wait(streams, timeout=1)
    (core,) = [process for process in processes() if "EngineCore" in process.name()]
    core.send_signal(signal.SIGKILL)
    for outcome in await asyncio.gather(*streams, return_exceptions=True):
        assert isinstance(outcome, EngineDied)
    with pytest.raises(EngineDied):
        await engine.check()
    with pytest.raises(EngineDied):
        await plan_of(engine, request())
    await engine.close()
    await no_processes()

    other = load(prefixless)
    assert other.describe().models == ("acestep-5Hz-lm-plain",)
    wanted = request(seed=3, cfg_scale=2, **FORCED)
    assert (await plan_of(other, wanted)).codes == plan_of_pt(terse, wanted).codes
    # When it is closed while streams are read, the streams end, and so do the processes.
    streams = [asyncio.create_task(plan_of(other, long)) for _ in range(PLANS + 1)]
    await asyncio.wait(streams, timeout=1)
    await other.close()
    for outcome in await asyncio.gather(*streams, return_exceptions=True):
        assert isinstance(outcome, EngineDied)
    with pytest.raises(EngineDied):
        await other.check()
    await no_processes()
