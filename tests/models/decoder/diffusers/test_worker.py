"""The engine as a replica runs it: through the decode worker, down to stored files."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import torch

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import Decoded, DecodeEvent, DecodeFailed, DecodeProgress
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.decoder.worker import DecodeWorker
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, request


async def ours() -> bool:
    return True


@pytest.fixture
def worker(turbo: Tiny, tmp_path: Path) -> DecodeWorker:
    return DecodeWorker(turbo.engine, Artifacts((tmp_path / "artifacts").as_uri()))


def job(job_id: str, **values: Any) -> DecodeRequest:
    return request(job_id=job_id, audio_format="flac", seconds=3.0, **values)


async def collect(events: AsyncIterator[DecodeEvent]) -> list[DecodeEvent]:
    return [event async for event in events]


async def hashes(worker: DecodeWorker, asked: DecodeRequest) -> list[str]:
    done = (await collect(worker.decode(asked, ours)))[-1]
    assert isinstance(done, Decoded)
    return [take.sha256 for take in done.takes]


async def test_a_job(worker: DecodeWorker) -> None:
    *reported, done = await collect(worker.decode(job("a", seeds=(1, 2), steps=3), ours))
    stages = [event.stage for event in reported if isinstance(event, DecodeProgress)]
    assert list(dict.fromkeys(stages)) == ["encoding", "diffusion", "vae", "storing"]
    assert isinstance(done, Decoded)
    assert [take.samples for take in done.takes] == [3 * 48_000] * 2
    assert set(done.seconds) >= {"encoding", "diffusion", "vae", "storing"}
    assert done.engine.model == "acestep-v15-turbo"
    assert not done.engine.mock


@pytest.mark.skipif(DEVICE.type != "cpu", reason="bit for bit is promised on the CPU alone")
async def test_the_same_file_alone_and_in_a_crowd(worker: DecodeWorker) -> None:
    asked = job("a", seeds=(1, 2))
    alone = await hashes(worker, asked)
    others = [job(f"b{n}", seeds=(n,), caption=f"song {n}") for n in range(4)]
    crowd = await asyncio.gather(
        *(hashes(worker, other) for other in others), hashes(worker, asked)
    )
    assert crowd[-1] == alone
    assert len({digest for made in crowd for digest in made}) == 6


async def test_a_job_that_is_cancelled_in_mid_denoising(worker: DecodeWorker, turbo: Tiny) -> None:
    calls: list[int] = []
    closing = threading.Event()

    def third_waits(*_: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            assert closing.wait(60)

    hook = turbo.pipeline.transformer.register_forward_pre_hook(third_waits)
    try:
        async with aclosing(worker.decode(job("a", steps=200), ours)) as events:
            async for event in events:
                if event == DecodeProgress(stage="diffusion", step=2, total=200):
                    break
            # Runs after closing has begun: that stops the engine first, then waits for it.
            asyncio.get_running_loop().call_soon(closing.set)
    finally:
        hook.remove()
    # The engine may have been one step further than its last report.
    assert len(calls) in (2, 3)
    assert await hashes(worker, job("b"))


async def test_out_of_memory_for_good_fails_the_job_and_the_next_is_made(
    worker: DecodeWorker, turbo: Tiny
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = turbo.pipeline.transformer.register_forward_pre_hook(full)
    try:
        failed = (await collect(worker.decode(job("a", seeds=(1, 2)), ours)))[-1]
    finally:
        hook.remove()
    assert isinstance(failed, DecodeFailed)
    assert failed.code == "out_of_memory"
    assert await hashes(worker, job("b"))
