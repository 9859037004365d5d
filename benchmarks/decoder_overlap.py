"""The gain from encoding and storing one job's takes while the next job has the GPU.

An engine holds a simulated GPU for a set time (it sleeps, so it uses no CPU) and returns real
music. It is driven by DecodeWorker, which encodes and stores at the same time, with two jobs at a
time and with as many as decoder/jobs_in_hand.py says, and by a serial loop: generate, encode,
store, next. All are measured in one run, in turns. Prints the ratio of their throughputs, how long
the GPU is idle between jobs, and where the rest of the time goes.

    python -m benchmarks.decoder_overlap
    python -m benchmarks.decoder_overlap --generate 0.5 --takes 2 --seconds 60 --encoders 8 \\
        --core-seconds 2        # encoders that sleep: as many cores as they need
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

from acestep_ray.artifacts.keys import take_key
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.audio.encode import Encoded
from acestep_ray.audio.tags import Tags
from acestep_ray.decoder import worker
from acestep_ray.decoder.events import Decoded
from acestep_ray.decoder.mock import MockDecoder
from acestep_ray.decoder.protocol import (
    DecoderDescription,
    DecodeRequest,
    DeviceMemory,
    RenderedTake,
    Report,
    Sources,
)
from acestep_ray.decoder.worker import DecodeWorker
from acestep_ray.settings import Mock
from acestep_ray.timebase import Samples
from benchmarks.service import figure

STEPS = 8
SETTLING = 10
"""Jobs at the beginning of each turn of the rule that do not count for the idle share and the
speed: it begins with two at a time."""
FEW = 10
"""Jobs of the other ways in each turn, all of which count."""


class TimedEngine:
    """Has the GPU for ``seconds`` per job; every take of every job is ``samples``."""

    def __init__(self, seconds: float, samples: Samples) -> None:
        self._step = seconds / STEPS
        self._samples = samples
        self._gpu = threading.Lock()
        self.held: list[tuple[float, float]] = []
        """When each job had the GPU: start and end."""

    def describe(self) -> DecoderDescription:
        """Nothing that matters in this benchmark."""
        return DecoderDescription(
            engine="mock", model="timed", tasks=("text2music",), turbo=True, mock=True, device="cpu"
        )

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """See DecoderEngine."""
        assert self._gpu.acquire(blocking=False), "two jobs at once on the GPU"
        began = time.perf_counter()
        report("diffusion", 0, STEPS)
        for step in range(STEPS):
            time.sleep(self._step)
            report("diffusion", step + 1, STEPS)
        self.held.append((began, time.perf_counter()))
        self._gpu.release()
        for index, seed in enumerate(request.seeds):
            yield RenderedTake(index, seed, self._samples)

    def free_memory(self) -> None:
        """There is nothing to free."""

    def loaded_adapters(self) -> frozenset[str]:
        """It has none."""
        return frozenset()

    def memory(self) -> DeviceMemory | None:
        """Not reported."""
        return None


class Measured:
    """One way to process jobs: its time, the GPU's, and what else used time."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.jobs = 0
        self.idle: list[float] = []
        """Between the end of a job on the GPU and the beginning of the next."""
        self.held: list[float] = []
        self.spent: dict[str, list[float]] = defaultdict(list)
        self.settled_jobs = 0
        self.settled_held = self.settled_idle = self.settled_wall = 0.0
        """The same without the first jobs, after which the number of jobs at a time is found."""
        self.most = 1
        """Jobs at a time, at the end."""

    def add(self, wall: float, held: list[tuple[float, float]], settling: int = 0) -> None:
        """Count one stretch of jobs. ``settling``: how many at its beginning do not count."""
        self.wall += wall
        self.jobs += len(held)
        self.held += [end - began for began, end in held]
        self.idle += [after - end for (_, end), (after, _) in pairwise(held)]
        settled = held[settling:]
        self.settled_jobs += len(settled) - 1
        self.settled_wall += settled[-1][0] - settled[0][0]
        self.settled_held += sum(end - began for began, end in settled)
        self.settled_idle += sum(after - end for (_, end), (after, _) in pairwise(settled))

    @property
    def idle_share(self) -> float:
        """The idle share of the time from one job's beginning on the GPU to the next one's, without
        the first jobs."""
        return self.settled_idle / (self.settled_idle + self.settled_held)


async def serial(engine: TimedEngine, requests: list[DecodeRequest], folder: Path) -> Measured:
    """Generate, encode, store, next."""
    measured = Measured()
    artifacts = Artifacts(folder.as_uri())
    began = time.perf_counter()
    for request in requests:
        for take in engine.generate(request, Sources(), lambda *_: None):
            mark = time.perf_counter()
            file = folder / "take"
            tags = Tags(request.caption, take.seed)
            worker.encode_take(  # type: ignore[attr-defined]  # encode_for replaces it
                take.samples, file, request.audio_format, tags
            )
            encoded = time.perf_counter()
            key = take_key(request.job_id, request.attempt, take.index, request.audio_format)
            await artifacts.put_file(key, file)
            measured.spent["encoding a take"].append(encoded - mark)
            measured.spent["storing a take"].append(time.perf_counter() - encoded)
    measured.add(time.perf_counter() - began, engine.held)
    return measured


async def overlapped(
    engine: TimedEngine, requests: list[DecodeRequest], folder: Path, ongoing: int, encoders: int
) -> Measured:
    """DecodeWorker with ``ongoing`` jobs at a time (0: as many as it says), as Serve gives them to
    a replica."""
    measured = Measured()
    driver = DecodeWorker(engine, Artifacts(folder.as_uri()), encoders)
    running: set[asyncio.Task[None]] = set()

    async def owns() -> bool:
        return True

    async def decode(request: DecodeRequest) -> None:
        async with aclosing(driver.decode(request, owns)) as events:
            *_, last = [event async for event in events]
        assert isinstance(last, Decoded), last
        measured.spent["from the GPU's last step to stored"].append(last.seconds["storing"])

    began = time.perf_counter()
    for request in requests:
        while len(running) >= (ongoing or driver.in_hand.number):
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        running.add(asyncio.create_task(decode(request)))
    measured.most = ongoing or driver.in_hand.number
    await asyncio.gather(*running)
    settling = 0 if ongoing else SETTLING
    measured.add(time.perf_counter() - began, engine.held, settling)
    return measured


def encode_for(seconds: float) -> None:
    """Let each encoder wait so long for a core of its own instead of encoding."""

    def encode(samples: Samples, path: Path, format: str, tags: Tags) -> Encoded:
        time.sleep(seconds)
        path.write_bytes(b"music")
        return Encoded(5, "", len(samples))

    worker.encode_take = encode  # type: ignore[attr-defined]


def request_for(number: int, seconds: float, takes: int) -> DecodeRequest:
    """Job ``number``."""
    return DecodeRequest(
        job_id=f"job-{number}",
        attempt=1,
        task="text2music",
        caption="pop rock with a driving beat",
        lyrics="we sing along",
        bpm=120,
        time_signature="4",
        seconds=seconds,
        seeds=tuple(range(takes)),
        steps=STEPS,
        guidance_scale=7.0,
    )


def show(name: str, measured: Measured, generate: float) -> None:
    """Print the numbers of one column as lines."""
    lost = measured.wall - measured.jobs * generate
    between, inside = sum(measured.idle), sum(measured.held) - measured.jobs * generate
    print(f"{name}: {measured.jobs / measured.wall:.3f} jobs/s, {measured.most} at a time")
    print(f"  GPU idle between jobs   {100 * measured.idle_share:6.2f} %")
    print(f"  beyond the set GPU time {lost:6.2f} s of {measured.wall:.2f}:")
    print(f"    between jobs          {between:6.2f} s")
    print(f"    late between steps    {inside:6.2f} s")
    print(f"    before first, after last {lost - between - inside:.2f} s")
    for what, seconds in measured.spent.items():
        print(f"  {what}: median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s")


async def main() -> None:
    """Run in turns and print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=60, help="of the rule, all rounds together")
    parser.add_argument("--generate", type=float, default=1.0, help="seconds a job has the GPU")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a take")
    parser.add_argument("--takes", type=int, default=1, help="takes a job")
    parser.add_argument("--core-seconds", type=float, help="of a take; its encoder then sleeps")
    parser.add_argument("--encoders", type=int, default=2, help="threads that encode")
    args = parser.parse_args()
    rounds = 2
    sung = request_for(0, args.seconds, takes=1)
    samples = next(MockDecoder(Mock()).generate(sung, Sources(), lambda *_: None)).samples
    requests = [request_for(n, args.seconds, args.takes) for n in range(args.jobs // rounds)]
    if len(requests) < SETTLING + FEW:
        parser.error(f"--jobs is at least {rounds * (SETTLING + FEW)}")
    ongoing = {"serial": 1, "two at a time": 2, "as the rule says": 0}
    ways = {name: Measured() for name in ongoing}
    if args.core_seconds is not None:
        encode_for(args.core_seconds)
    for turn in range(rounds):
        # The ways take turns at being first, so other work on this machine affects both.
        for name in list(ways) if turn % 2 == 0 else reversed(list(ways)):
            engine = TimedEngine(args.generate, samples)
            jobs = requests if ongoing[name] == 0 else requests[:FEW]
            with tempfile.TemporaryDirectory() as folder:
                one = await (
                    serial(engine, jobs, Path(folder))
                    if name == "serial"
                    else overlapped(engine, jobs, Path(folder), ongoing[name], args.encoders)
                )
            whole = ways[name]
            whole.wall += one.wall
            whole.jobs += one.jobs
            whole.idle += one.idle
            whole.settled_jobs += one.settled_jobs
            whole.settled_wall += one.settled_wall
            whole.settled_held += one.settled_held
            whole.settled_idle += one.settled_idle
            whole.held += one.held
            whole.most = one.most
            for what, seconds in one.spent.items():
                whole.spent[what] += seconds
    print(
        f"{args.jobs} jobs of {args.takes} x {args.seconds:g} s mp3, {args.generate:g} s of GPU "
        f"each; {args.encoders} encoders; {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    for name, measured in ways.items():
        show(name, measured, args.generate)
    speeds = {name: way.settled_jobs / way.settled_wall for name, way in ways.items()}
    for name, speed in speeds.items():
        print(f"{name} against serial: {speed / speeds['serial']:.2f} times")
    chosen = ways["as the rule says"]
    figure(
        f"speed of one device (simulated, as its encoders), {chosen.most} jobs at a time",
        f"{speeds['as the rule says'] / speeds['serial']:.2f}",
        "a plain loop: generate, encode, store",
    )
    figure(
        f"device idle between jobs, {chosen.most} at a time",
        f"{100 * chosen.idle_share:.1f} %",
        f"{100 * ways['two at a time'].idle_share:.0f} % with two at a time",
        "under 5 %",
    )


if __name__ == "__main__":
    asyncio.run(main())
