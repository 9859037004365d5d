"""What events, metrics and traces cost: memory for idle streams, polls of others, and throughput.

Memory is the proportional share (PSS) of all processes of a service, before the streams are opened
and while they are open, through Serve's own proxy and through HAProxy. Polls are timed in turns,
with the streams and without, and so is throughput: the same jobs without metrics, traces and
streams, and with them. Each is a ratio within one run. Processor time per job is that of all
processes of the service; other programs hardly change it, so it is the more exact figure. The
program that reads the streams and receives the traces runs on the same machine, and takes a part of
its processors.

The jobs are the shortest there are, so that every cost per job counts most: with ``--step-seconds``
the mock decoder waits in each step as if a GPU worked, and the processors have time left.

    python -m benchmarks.events
    python -m benchmarks.events --streams 100 --jobs 50
    python -m benchmarks.events --streams 0 --step-seconds 0.02
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import psutil

from benchmarks.service import PROXIES, memory, processor_seconds, service
from tests.otlp_receiver import OtlpReceiver

POLLS = 300
"""Polls per turn."""
SONG = {"caption": "pop", "audio_duration": 2, "batch_size": 1, "audio_format": "wav"}
WAIT = 60
UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=None)


@dataclass(frozen=True)
class Variant:
    """One way to run the jobs. The first one is what the others are compared with.

    ``follow``: paths of the streams that are read meanwhile; ``{}`` stands for the id of each job.
    ``environment``: settings of its service; variants with the same ones share a service.
    """

    name: str
    follow: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def variants(collector: str) -> Sequence[Variant]:
    """What is compared. ``collector``: the address that the traces are sent to."""
    bare = {"ACESTEP_METRICS": "false"}
    traced = {"ACESTEP_TRACING__ENDPOINT": collector}
    return (
        Variant("nothing of it", environment=bare),
        Variant("metrics"),
        Variant("metrics, stream of all jobs", ["/v1/events"]),
        Variant("metrics, stream per job", ["/v1/jobs/{}/events"]),
        Variant("metrics, traces", environment=traced),
        Variant("metrics, traces, stream of all", ["/v1/events"], traced),
    )


@asynccontextmanager
async def streams(url: str, paths: Sequence[str]) -> AsyncIterator[None]:
    """Streams that are open and read until the block ends. Their first event has come."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, timeout=WAIT, limits=UNLIMITED)
        )
        begun = asyncio.Semaphore(0)

        async def read(path: str) -> None:
            async with http.stream("GET", path) as response:
                chunks = response.raise_for_status().aiter_bytes()
                await anext(chunks)
                begun.release()
                async for _ in chunks:
                    pass

        readers = [asyncio.create_task(read(path)) for path in paths]
        try:
            for _ in paths:
                await begun.acquire()
            yield
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


async def poll_seconds(http: httpx.AsyncClient, job_id: str) -> float:
    """The median time of a poll."""
    times = []
    for _ in range(POLLS):
        began = time.perf_counter()
        (await http.get(f"/v1/jobs/{job_id}")).raise_for_status()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def jobs_per_second(url: str, jobs: int, follow: Sequence[str]) -> float:
    """Throughput from the first submit to the last end, with these streams."""
    async with httpx.AsyncClient(base_url=url, timeout=WAIT, limits=UNLIMITED) as http:
        everything = [path for path in follow if "{}" not in path]
        of_jobs = [path for path in follow if "{}" in path]
        async with streams(url, everything), AsyncExitStack() as stack:
            began = time.perf_counter()

            async def submit() -> str:
                answer = await http.post("/v1/music/generate", json=SONG)
                job_id: str = answer.raise_for_status().json()["job_id"]
                return job_id

            ids = await asyncio.gather(*(submit() for _ in range(jobs)))
            paths = [path.format(job_id) for path in of_jobs for job_id in ids]
            await stack.enter_async_context(streams(url, paths))
            for job_id in ids:
                job = {"status": "queued"}
                while job["status"] not in ("succeeded", "failed"):
                    params = {"wait": WAIT - 10}
                    job = (await http.get(f"/v1/jobs/{job_id}", params=params)).json()
                assert job["status"] == "succeeded", job
            return jobs / (time.perf_counter() - began)


async def idle(url: str, process: psutil.Process, number: int, rounds: int) -> None:
    """Measure memory and polls, and print them."""
    async with httpx.AsyncClient(base_url=url, timeout=WAIT) as http:
        job_id = (await http.post("/v1/music/generate", json=SONG)).json()["job_id"]
        await http.get(f"/v1/jobs/{job_id}", params={"wait": WAIT - 10})
        async with streams(url, ["/v1/events"] * 20):  # what is loaded once is loaded
            await poll_seconds(http, job_id)
        before, most = memory(process), 0.0
        ratios = []
        for _ in range(rounds):
            without = await poll_seconds(http, job_id)
            async with streams(url, ["/v1/events"] * number):
                with_them = await poll_seconds(http, job_id)
                most = max(most, memory(process))
            ratios.append(with_them / without)
            print(f"  a poll: {without * 1e3:.2f} ms, with the streams {with_them * 1e3:.2f} ms")
    print(
        f"{number} idle streams: memory {before:.0f} MB, with them {most:.0f} MB (+"
        f"{most - before:.0f} MB); median ratio of polls {statistics.median(ratios):.2f}"
    )


async def throughput(
    compared: Sequence[Variant],
    services: Sequence[tuple[str, psutil.Process]],
    jobs: int,
    rounds: int,
) -> None:
    """Measure the variants in turns, and print them."""
    speeds: dict[str, list[float]] = {variant.name: [] for variant in compared}
    costs: dict[str, list[float]] = {variant.name: [] for variant in compared}
    for number in range(rounds + 1):
        for variant, (url, process) in zip(compared, services, strict=True):
            before = processor_seconds(process)
            speed = await jobs_per_second(url, jobs, variant.follow)
            if number:  # the first round loads some modules
                speeds[variant.name].append(speed)
                costs[variant.name].append((processor_seconds(process) - before) / jobs)
    first = compared[0].name
    print(f"{jobs} jobs, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for (name, ours), cost in zip(speeds.items(), costs.values(), strict=True):
        print(
            f"  {name:<32}{statistics.median(ours):7.2f} jobs/s, ratio "
            f"{_ratio(ours, speeds[first]):.3f};{statistics.median(cost):7.3f} s of processor "
            f"per job, ratio {_ratio(cost, costs[first]):.3f}"
        )


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500, help="idle streams")
    parser.add_argument("--jobs", type=int, default=100, help="jobs per turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step-seconds", type=float, default=0.0, help="of the mock decoder")
    options = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.1f}")
    for name, proxy in PROXIES.items():
        if options.streams:
            print(f"through {name}")
            with service(proxy) as (url, process):
                asyncio.run(idle(url, process, options.streams, options.rounds))
    steps = {"ACESTEP_MOCK__STEP_SECONDS": str(options.step_seconds)}
    with OtlpReceiver() as receiver, ExitStack() as stack:
        compared = variants(receiver.url)
        services: dict[str, tuple[str, psutil.Process]] = {}
        for variant in compared:
            key = repr(dict(variant.environment))
            if key not in services:
                services[key] = stack.enter_context(service({**variant.environment, **steps}))
        of_variants = [services[repr(dict(variant.environment))] for variant in compared]
        asyncio.run(throughput(compared, of_variants, options.jobs, options.rounds))
        assert receiver.requests, "no trace arrived"


if __name__ == "__main__":
    main()
