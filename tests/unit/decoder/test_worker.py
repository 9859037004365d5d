"""The decode worker over a real artifact store: what stops it, what makes it fail, what it leaves.

What would break for whom: a cancelled job that keeps the GPU, a decode of a dead caller that never
ends, one job's memory error that stops the replica, half of a job's takes in storage.
"""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from acestep_ray.adapters.cache import FileCache
from acestep_ray.adapters.files import files_at
from acestep_ray.adapters.library import AdapterLibrary
from acestep_ray.artifacts.store import Artifacts, StorageError
from acestep_ray.decoder.events import Decoded, DecodeEvent, DecodeFailed, DecodeProgress
from acestep_ray.decoder.protocol import (
    AdapterUse,
    DecoderDescription,
    DecodeRequest,
    DecoderError,
    DeviceMemory,
    OutOfMemoryError,
    RenderedTake,
    Report,
    Sources,
)
from acestep_ray.decoder.worker import DecodeWorker
from acestep_ray.metrics import (
    AUDIO_SECONDS,
    DEVICE_MEMORY_PEAK_BYTES,
    REALTIME_FACTOR,
    STAGE_SECONDS,
    STAGE_TIME,
)
from tests.adapter_files import write_weights
from tests.recording_meter import RecordingMeter


class Engine:
    """An engine in which every step waits for the test; ``at_step`` may raise."""

    def __init__(self) -> None:
        self.steps = 0
        self.freed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.at_step: Callable[[DecodeRequest, int], None] = lambda request, step: None
        self.running: list[str] = []
        self.sources = Sources()
        self.most_at_once = 0

    def describe(self) -> DecoderDescription:
        return DecoderDescription(
            engine="mock", model="m", tasks=("text2music",), turbo=True, mock=True, device="cpu"
        )

    def free_memory(self) -> None:
        self.freed += 1

    def loaded_adapters(self) -> frozenset[str]:
        return frozenset()

    def memory(self) -> DeviceMemory | None:
        return DeviceMemory(allocated=1, peak=3 << 30, reserved=1, free=1, total=8 << 30)

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        self.sources = sources
        self.running.append(request.job_id)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            for step in range(request.steps):
                report("diffusion", step, request.steps)
                self.gate.wait()
                self.at_step(request, step)
                self.steps += 1
            for index, seed in enumerate(request.seeds):
                report("vae", index, len(request.seeds))
                tone = np.full((1920, 2), seed / 100, np.float32)
                yield RenderedTake(index, seed, tone)
        finally:
            self.running.remove(request.job_id)


def request(job_id: str = "job", **changes: object) -> DecodeRequest:
    fields: dict[str, object] = {
        "job_id": job_id, "attempt": 1, "task": "text2music", "caption": "c", "lyrics": "",
        "vocal_language": "en", "bpm": None, "key_scale": "", "time_signature": "",
        "seconds": 0.04, "seeds": (1, 2, 3), "steps": 4, "guidance_scale": 7.0,
        "audio_format": "wav",
    }  # fmt: skip
    return DecodeRequest.model_validate(fields | changes)


async def ours() -> bool:
    return True


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts((tmp_path / "artifacts").as_uri())


@pytest.fixture
def worker(engine: Engine, artifacts: Artifacts) -> DecodeWorker:
    return DecodeWorker(engine, artifacts)


async def stored(artifacts: Artifacts) -> list[str]:
    return sorted([file.key async for file in artifacts.list()])


async def collect(events: AsyncIterator[DecodeEvent]) -> list[DecodeEvent]:
    return [event async for event in events]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_takes_are_stored_and_told(worker: DecodeWorker, artifacts: Artifacts) -> None:
    events = await collect(worker.decode(request(), ours))
    assert events[0] == DecodeProgress(stage="diffusion", step=0, total=4)
    done = events[-1]
    assert isinstance(done, Decoded)
    assert [take.key for take in done.takes] == await stored(artifacts)
    assert [(take.index, take.seed, take.samples) for take in done.takes] == [
        (0, 1, 1920),
        (1, 2, 1920),
        (2, 3, 1920),
    ]
    assert set(done.seconds) >= {"diffusion", "vae", "storing"}
    assert done.peak_memory == 3 << 30


@pytest.mark.parametrize(
    ("name", "file", "codec"), [("wav32", "1.wav", "pcm_f32le"), ("aac", "1.m4a", "aac")]
)
async def test_a_take_in_each_later_format(
    worker: DecodeWorker, artifacts: Artifacts, tmp_path: Path, name: str, file: str, codec: str
) -> None:
    events = await collect(worker.decode(request(audio_format=name, seeds=(1,)), ours))
    assert isinstance(events[-1], Decoded)
    (take,) = events[-1].takes
    assert (take.name, take.format, take.key) == (file, name, f"takes/job/1/{file}")
    await artifacts.fetch(take.key, tmp_path / file)
    probe = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(tmp_path / file)]
    (stream,) = json.loads(subprocess.check_output(probe))["streams"]
    assert (stream["codec_name"], stream["duration_ts"]) == (codec, take.samples)


async def test_one_job_at_a_time_has_the_device(worker: DecodeWorker, engine: Engine) -> None:
    jobs = [collect(worker.decode(request(f"job{n}"), ours)) for n in range(4)]
    for events in await asyncio.gather(*jobs):
        assert isinstance(events[-1], Decoded)
    assert engine.most_at_once == 1


async def test_a_job_tells_only_that_it_waits_before_the_device_is_there(
    worker: DecodeWorker, engine: Engine
) -> None:
    engine.gate.clear()
    first = asyncio.create_task(collect(worker.decode(request("first"), ours)))
    await until(lambda: engine.running == ["first"])
    reported: list[DecodeEvent] = []

    async def listen() -> None:
        async for event in worker.decode(request("second"), ours):
            reported.append(event)

    second = asyncio.create_task(listen())
    await until(lambda: bool(reported))
    await asyncio.sleep(0.05)
    assert reported == [DecodeProgress(stage="waiting", step=0, total=1)]
    engine.gate.set()
    await asyncio.gather(first, second)
    assert reported[1] == DecodeProgress(stage="waiting", step=1, total=1)
    assert reported[2] == DecodeProgress(stage="diffusion", step=0, total=4)
    assert isinstance(reported[-1], Decoded)


async def test_closing_the_stream_stops_the_engine_within_a_step(
    worker: DecodeWorker, engine: Engine, artifacts: Artifacts
) -> None:
    engine.gate.clear()
    async with aclosing(worker.decode(request(steps=1000), ours)) as events:
        await anext(events)
        engine.gate.set()
    # aclose() waits for the engine: when it returns, the device is free.
    assert engine.running == []
    assert engine.steps < 1000
    assert await stored(artifacts) == []


async def test_cancelling_the_reader_stops_the_engine(worker: DecodeWorker, engine: Engine) -> None:
    engine.gate.clear()
    task = asyncio.create_task(collect(worker.decode(request(steps=1000), ours)))
    await until(lambda: engine.running == ["job"])
    task.cancel()
    engine.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.running == []
    assert engine.steps < 1000


async def test_a_job_that_waits_for_the_device_can_be_cancelled(
    worker: DecodeWorker, engine: Engine
) -> None:
    engine.gate.clear()
    first = asyncio.create_task(collect(worker.decode(request("first"), ours)))
    await until(lambda: engine.running == ["first"])
    second = asyncio.create_task(collect(worker.decode(request("second"), ours)))
    await asyncio.sleep(0.05)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second  # at once, although the first still has the device
    engine.gate.set()
    assert isinstance((await first)[-1], Decoded)


async def test_an_attempt_that_has_lost_its_job_stops(
    worker: DecodeWorker, engine: Engine, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acestep_ray.decoder.worker.FENCE_EVERY", 0.01)
    mine = True

    async def owns() -> bool:
        return mine

    engine.gate.clear()
    task = asyncio.create_task(collect(worker.decode(request(steps=1000), owns)))
    await until(lambda: engine.running == ["job"])
    mine = False
    await asyncio.sleep(0.05)
    engine.gate.set()
    events = await task
    assert not any(isinstance(event, (Decoded, DecodeFailed)) for event in events)
    assert engine.steps <= 2
    assert await stored(artifacts) == []


async def test_a_job_lost_while_it_was_encoded_is_not_published(
    worker: DecodeWorker, artifacts: Artifacts
) -> None:
    asked = 0

    async def owns() -> bool:
        nonlocal asked
        asked += 1
        return asked == 1

    events = await collect(worker.decode(request(), owns))
    assert not isinstance(events[-1], Decoded)
    assert await stored(artifacts) == []


async def test_work_goes_on_while_nobody_can_tell_whose_it_is(worker: DecodeWorker) -> None:
    async def away() -> bool:
        raise ConnectionError("the store is away")

    assert isinstance((await collect(worker.decode(request(), away)))[-1], Decoded)


async def test_it_asks_for_as_many_jobs_as_keep_the_device_at_work(worker: DecodeWorker) -> None:
    assert worker.in_hand.number == 2
    await collect(worker.decode(request(), ours))
    # The engine takes no time: one job on it, one whose takes are encoded, and one that waits.
    assert worker.in_hand.number >= 3


async def test_short_memory_is_met_take_by_take(worker: DecodeWorker, engine: Engine) -> None:
    def short(request: DecodeRequest, step: int) -> None:
        if len(request.seeds) > 1:
            raise OutOfMemoryError("batch of 3")

    engine.at_step = short
    done = (await collect(worker.decode(request(), ours)))[-1]
    assert isinstance(done, Decoded)
    assert [(take.index, take.seed) for take in done.takes] == [(0, 1), (1, 2), (2, 3)]
    assert engine.freed >= 1
    assert any("Memory" in warning for warning in done.warnings)


@pytest.mark.parametrize("asked", [{"lrc": True}, {"scores": True}])
async def test_lyrics_that_are_not_there_cannot_be_found(
    worker: DecodeWorker, asked: dict[str, object]
) -> None:
    done = (await collect(worker.decode(request("job", **asked), ours)))[-1]
    assert isinstance(done, Decoded)
    assert done.warnings == ("The song has no lyrics, so lrc and scores are not made.",)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutOfMemoryError("gpu"), "out_of_memory"),
        (MemoryError("ram"), "out_of_memory"),
        (DecoderError("The window is empty."), "decoder_failed"),
        (ZeroDivisionError("secret detail"), "decoder_failed"),
        (StorageError("The disk is full."), "storage_failed"),
    ],
)
async def test_a_failure_is_a_sentence_and_the_next_job_is_made(
    worker: DecodeWorker, engine: Engine, artifacts: Artifacts, error: Exception, code: str
) -> None:
    def fail(request: DecodeRequest, step: int) -> None:
        if request.job_id == "bad" and step == 2:
            raise error

    engine.at_step = fail
    bad, good = await asyncio.gather(
        collect(worker.decode(request("bad"), ours)),
        collect(worker.decode(request("good"), ours)),
    )
    failed = bad[-1]
    assert isinstance(failed, DecodeFailed)
    assert failed.code == code
    assert "secret" not in failed.detail
    assert isinstance(good[-1], Decoded)
    assert all("/good/" in key for key in await stored(artifacts))


async def test_takes_are_stored_all_or_none(
    worker: DecodeWorker, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = artifacts.put_file

    async def fail_at_the_third(key: str, path: Path, headers: dict[str, str]) -> None:
        if key.endswith("3.wav"):
            raise StorageError("The disk is full.")
        await put(key, path, headers)

    monkeypatch.setattr(artifacts, "put_file", fail_at_the_third)
    failed = (await collect(worker.decode(request(), ours)))[-1]
    assert failed == DecodeFailed(code="storage_failed", detail="The disk is full.")
    assert await stored(artifacts) == []


async def test_a_finished_job_is_measured(engine: Engine, artifacts: Artifacts) -> None:
    meter = RecordingMeter()
    worker = DecodeWorker(engine, artifacts, meter=meter)
    engine.at_step = lambda request, step: time.sleep(0.002)  # its times are rounded to 1 ms
    done = (await collect(worker.decode(request(), ours)))[-1]
    assert isinstance(done, Decoded)
    times = {("decoder", stage): seconds for stage, seconds in done.seconds.items()}
    assert meter.counters[STAGE_TIME.name] == times
    assert meter.observed[STAGE_SECONDS.name] == {one: [t] for one, t in times.items()}
    assert meter.counted(AUDIO_SECONDS) == {("text2music",): pytest.approx(3 * 0.04)}
    (factor,) = meter.observed[REALTIME_FACTOR.name]["text2music",]
    assert factor == pytest.approx(3 * 0.04 / done.device_seconds)
    assert meter.gauges[DEVICE_MEMORY_PEAK_BYTES.name] == {("decoder",): 3 << 30}
    assert worker.busy.take() > 0


async def test_a_job_that_failed_made_no_audio(engine: Engine, artifacts: Artifacts) -> None:
    meter = RecordingMeter()

    def fail(request: DecodeRequest, step: int) -> None:
        raise DecoderError("The window is empty.")

    engine.at_step = fail
    await collect(DecodeWorker(engine, artifacts, meter=meter).decode(request(), ours))
    assert not meter.counters and not meter.observed


async def test_a_device_is_busy_only_while_its_engine_works(
    worker: DecodeWorker, engine: Engine
) -> None:
    engine.gate.clear()
    task = asyncio.create_task(collect(worker.decode(request(), ours)))
    await until(lambda: engine.running == ["job"])
    worker.busy.take()
    await asyncio.sleep(0.01)
    assert worker.busy.take() >= 0.01
    engine.gate.set()
    await task
    worker.busy.take()
    await asyncio.sleep(0.01)
    assert worker.busy.take() == 0


async def test_adapters_are_brought_here_before_the_device_works(
    artifacts: Artifacts, tmp_path: Path
) -> None:
    write_weights(tmp_path / "adapters" / "jazz.safetensors")
    files = files_at(str(tmp_path / "adapters"), 0)
    library = AdapterLibrary(files, FileCache(tmp_path / "copies", 0))
    engine = Engine()
    worker = DecodeWorker(engine, artifacts, adapters=library)
    names = ("jazz", "folk")
    jazz, folk = (request(name, adapters=(AdapterUse(name=name),)) for name in names)
    assert isinstance((await collect(worker.decode(jazz, ours)))[-1], Decoded)
    assert engine.sources.adapters["jazz"].weights.name == "jazz.safetensors"
    steps = engine.steps
    assert (await collect(worker.decode(folk, ours)))[-1] == DecodeFailed(
        code="decoder_failed", detail="The adapter folk is no longer there."
    )
    without = DecodeWorker(engine, artifacts)
    failed = (await collect(without.decode(jazz, ours)))[-1]
    assert isinstance(failed, DecodeFailed) and "set ACESTEP_ADAPTERS for it" in failed.detail
    assert engine.steps == steps
