"""The decode worker over an object store: the names of the takes there, and a store that fails.

What would break for whom: a song that is saved as "1" without a type, a job that hangs as long as
the store is away and then reports a decoder error, a cancellation that becomes a failure.
"""

import asyncio
from pathlib import Path

import httpx
import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import Decoded, DecodeFailed, DecodeProgress
from acestep_ray.decoder.worker import DecodeWorker
from tests.s3 import S3Server
from tests.unit.decoder.test_worker import Engine, collect, ours, request


async def test_a_take_has_its_type_and_its_name(s3_url: str) -> None:
    artifacts = Artifacts(s3_url)
    asked = request(caption="Café noir", seeds=(1, 2), audio_format="flac")
    done = (await collect(DecodeWorker(Engine(), artifacts).decode(asked, ours)))[-1]
    assert isinstance(done, Decoded)
    async with httpx.AsyncClient() as http:
        answer = await http.get(await artifacts.sign(done.takes[1].key, "GET", 60))
    assert answer.headers["content-type"] == "audio/flac"
    assert "filename*=UTF-8''Caf%C3%A9%20noir%202.flac" in answer.headers["content-disposition"]
    assert len(answer.content) == done.takes[1].bytes


async def test_a_store_that_is_away_fails_the_job_in_a_sentence(
    s3: S3Server, s3_url: str, tmp_path: Path
) -> None:
    engine = Engine()
    worker = DecodeWorker(engine, Artifacts(s3_url, patience=0.5))
    s3.kill()
    try:
        failed = (await collect(worker.decode(request(), ours)))[-1]
    finally:
        s3.start()
    assert failed == DecodeFailed(
        code="storage_failed",
        detail="The audio could not be stored: the storage cannot be reached.",
    )
    assert engine.running == []
    assert isinstance((await collect(worker.decode(request(), ours)))[-1], Decoded)


async def test_a_job_cancelled_while_the_store_is_away_is_cancelled(
    s3: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job does not fail, although what it stored cannot be deleted now."""
    monkeypatch.setattr("acestep_ray.decoder.worker.CLEANING_SECONDS", 0.5)
    worker = DecodeWorker(Engine(), Artifacts(s3_url, patience=600))
    storing = asyncio.Event()

    async def listen() -> None:
        async for event in worker.decode(request(), ours):
            if isinstance(event, DecodeProgress) and event.stage == "storing":
                storing.set()

    s3.kill()
    try:
        job = asyncio.create_task(listen())
        async with asyncio.timeout(60):
            await storing.wait()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
    finally:
        s3.start()
