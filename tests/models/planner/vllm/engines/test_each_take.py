"""Each take has its own audio codes, those that its seed gives alone, also if much else is made."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from statistics import median
from time import perf_counter
from typing import Any

import pytest

from acestep_ray.planner.protocol import Plan
from acestep_ray.planner.transformers.planning import Planning
from acestep_ray.planner.vllm.engine import VllmPlanner
from tests.models.planner.vllm.songs import FORCED, request, song
from tests.models.planner.vllm.started import PLANS, nothing_left

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEEDS = (7, 2**32 - 1, 0, 8)
HOW: tuple[dict[str, Any], ...] = (
    {},
    {"cfg_scale": 2.5},
    {"cfg_scale": 2.0, "top_k": 40, "repetition_penalty": 1.3},
)


async def plan(engine: VllmPlanner, seeds: Sequence[int], **fields: Any) -> Plan:
    """Of one take, as of a job that has no other; of several, as of one job."""
    several = tuple(seeds) if len(seeds) > 1 else ()
    wanted = request(seed=seeds[0], seeds=several, **fields)
    *_, found = [event async for event in engine.plan(wanted)]
    assert isinstance(found, Plan)
    return found


async def test_four_takes_have_four_plans_each_of_its_seed(
    engine: VllmPlanner, terse: Planning
) -> None:
    for how in HOW:
        together = await plan(engine, SEEDS, **FORCED, **how)
        alone = [await plan(engine, [seed], **FORCED, **how) for seed in SEEDS]
        assert together.take_codes == tuple(one.codes for one in alone)
        assert len(set(together.take_codes)) == 4
        of_pt = terse.plan(request(seed=SEEDS[0], seeds=SEEDS, **FORCED, **how), lambda *_: None)
        assert of_pt.take_codes == together.take_codes


async def test_many_takes_of_many_jobs_at_once(engine: VllmPlanner) -> None:
    """More than there are places, beside other songs."""
    seeds = tuple(range(PLANS + 3))
    how = FORCED | {"cfg_scale": 2.0}
    jobs = [
        plan(engine, [10 * job + seed for seed in seeds], caption=f"song {job}", **how)
        for job in range(2)
    ]
    others = [drained(engine, number) for number in range(3)]
    *found, _, _, _ = await asyncio.gather(*jobs, *others)
    for job, together in enumerate(found):
        assert together is not None and len(set(together.take_codes)) == len(seeds)
        last = await plan(engine, [10 * job + seeds[-1]], caption=f"song {job}", **how)
        assert together.take_codes[-1] == last.codes
    await nothing_left(engine)


async def drained(engine: VllmPlanner, number: int) -> None:
    async for _ in engine.plan(song(number)):
        pass


async def test_metadata_are_written_once(engine: VllmPlanner) -> None:
    wanted = request(seed=SEEDS[0], seeds=SEEDS, cfg_scale=2.0)
    events = [event async for event in engine.plan(wanted)]
    together = events.pop()
    assert isinstance(together, Plan)
    first = await plan(engine, SEEDS[:1], cfg_scale=2.0)
    assert (together.metadata, together.codes) == (first.metadata, first.codes)
    steps = [(one.stage, one.step, one.total) for one in events]  # type: ignore[union-attr]
    assert steps.count(("metadata", 6, 6)) == 1
    assert steps[-1] == ("codes", 200, 200)
    assert steps == sorted(set(steps), key=lambda step: (step[0] == "codes", step[1]))


async def test_whoever_stops_reading_ends_all_takes(engine: VllmPlanner) -> None:
    wanted = request(seed=0, seeds=SEEDS, duration=600, cfg_scale=2, **FORCED)
    async with aclosing(engine.plan(wanted)) as events:
        async for event in events:
            if not isinstance(event, Plan) and event.stage == "codes" and event.step:
                break
    await nothing_left(engine)


async def test_prints_the_time_of_four_plans_in_times_of_one(
    engine: VllmPlanner, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ratio is printed. Times are not compared: a busy machine must not fail this."""
    spent: dict[int, list[float]] = {1: [], 4: []}
    for turn in range(3):
        for takes, times in spent.items():
            begun = perf_counter()
            seeds = [10 * turn + take for take in range(takes)]
            found = await plan(engine, seeds, **FORCED | {"duration": 30}, cfg_scale=2.0)
            times.append(perf_counter() - begun)
            assert len(found.sequences) == takes
    one, four = (median(spent[takes]) for takes in (1, 4))
    with capsys.disabled():
        print(f"\nvllm: four plans take {four / one:.2f} times as long as one ({one:.2f} s)")  # noqa: T201
