"""Decoded takes in memory: two jobs at a time in any case, and more while they fit."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import Decoded, DecodeProgress
from acestep_ray.decoder.protocol import DecodeRequest, SourceAudio
from acestep_ray.decoder.take_memory import Room, TakeMemory, sound_bytes
from acestep_ray.decoder.worker import DecodeWorker
from tests.unit.decoder.test_worker import Engine, collect, ours, request, until


class Job:
    """A task that asks for room and keeps it until the test ends it."""

    def __init__(self, memory: TakeMemory, size: int) -> None:
        self.room: Room | None = None
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._run(memory, size))

    async def _run(self, memory: TakeMemory, size: int) -> None:
        async with memory.room(size) as self.room:
            await self.end.wait()


async def jobs(memory: TakeMemory, *sizes: int) -> list[Job]:
    started = [Job(memory, size) for size in sizes]
    await settled()
    return started


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def have_room(jobs: list[Job]) -> list[bool]:
    return [job.room is not None for job in jobs]


TAKE = 60 * 48_000 * 2 * 4
"""Bytes of a minute."""
SOURCE = SourceAudio(key="k", sample_rate=44_100, channels=1, samples=120 * 44_100)
READ = 120 * 44_100 * 4


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seeds": (1, 2)}, 2 * TAKE),
        ({"seeds": (1,), "reference": SOURCE}, TAKE + READ),
        # The length is not that of the request.
        ({"seeds": (1,), "codes": (tuple(range(1500)),)}, 5 * TAKE),
        ({"seeds": (1, 2), "task": "cover", "source": SOURCE}, 4 * TAKE + READ),
        ({"seeds": (1,), "task": "repaint", "source": SOURCE, "repaint_end": 90.0},
         2 * TAKE + READ),
        (
            {"seeds": (1,), "task": "repaint", "source": SOURCE, "repaint_start": -60.0,
             "repaint_end": 180.0},
            4 * TAKE + READ,
        ),
        ({"seeds": (1,), "source": SOURCE}, TAKE + READ),  # it is not used, but it is read
    ],
)  # fmt: skip
def test_what_the_sound_of_a_job_needs(changes: dict[str, Any], expected: int) -> None:
    asked = request().model_copy(update={"seconds": 60.0} | changes)
    assert sound_bytes(asked) == expected


async def test_two_have_room_whatever_they_need_and_others_while_they_fit() -> None:
    memory = TakeMemory(100)
    assert have_room(await jobs(memory, 500, 500, 1)) == [True, True, False]
    memory = TakeMemory(100)
    assert have_room(await jobs(memory, 30, 30, 40, 1)) == [True, True, True, False]


async def test_room_is_given_in_the_order_of_asking() -> None:
    memory = TakeMemory(100)
    first, second, large, small = waiting = await jobs(memory, 50, 50, 90, 1)
    assert memory.is_full(0)
    assert have_room(waiting) == [True, True, False, False]
    first.end.set()
    await settled()
    assert have_room(waiting) == [True, True, True, False]  # two have room in any case
    second.end.set()
    await settled()
    assert have_room(waiting) == [True, True, True, True]
    for job in waiting:
        job.end.set()
    await asyncio.gather(*(job.task for job in waiting))
    assert have_room(await jobs(memory, 60, 60, 1)) == [True, True, False]  # nothing is left over
    del large, small


@pytest.mark.parametrize("at", [2, 3])
async def test_who_no_longer_waits_does_not_keep_others_waiting(at: int) -> None:
    memory = TakeMemory(100)
    waiting = await jobs(memory, 60, 30, 90, 90, 5)
    assert have_room(waiting) == [True, True, False, False, False]
    waiting[at].task.cancel()
    waiting[2 if at == 3 else 3].task.cancel()
    await settled()
    assert have_room(waiting) == [True, True, False, False, True]


async def test_room_that_was_given_back_early_counts_once() -> None:
    memory = TakeMemory(100)
    (first, _, third) = held = await jobs(memory, 50, 50, 50)
    assert first.room is not None
    first.room.release()
    await settled()
    assert have_room(held) == [True, True, True]
    first.end.set()
    await first.task
    assert not third.task.done()
    assert memory.is_full(1)


async def test_a_worker_lets_a_job_without_room_wait_and_says_so(tmp_path: Path) -> None:
    """Three songs of ten minutes with four takes each have 2.8 GB until they are encoded."""
    engine = Engine()
    worker = DecodeWorker(engine, Artifacts(tmp_path.as_uri()))
    engine.gate.clear()

    def long(name: str) -> DecodeRequest:
        return request(name, seconds=600.0, seeds=(1, 2, 3, 4))

    first, second, third = (
        asyncio.create_task(collect(worker.decode(long(name), ours))) for name in "abc"
    )
    await until(lambda: worker._memory.is_full(sound_bytes(long("d"))))
    async with aclosing(worker.decode(long("d"), ours)) as fourth:
        assert await anext(fourth) == DecodeProgress(stage="waiting", step=0, total=1)
    third.cancel()  # it waits, too
    engine.gate.set()
    assert isinstance((await first)[-1], Decoded)
    assert isinstance((await second)[-1], Decoded)
    events = await collect(worker.decode(long("e"), ours))
    assert isinstance(events[-1], Decoded)
