"""How throughput grows with the decoders: jobs per second of 1, 4, 16 and 48, as shares of the
ideal.

The engine takes 20 s per job and makes nothing, so every loss is a loss of the service: the queue
in the job store, leases, Serve's handles, the fence check that every running job makes once a
second, the registrations of the replicas. All of these are real. Jobs for a few rounds are queued
at once, and the time until the last has succeeded is measured, including beginning and end. The
ideal is the throughput of one decoder in the same run, multiplied by their number.
"""

import argparse
import asyncio
import logging
import os
import statistics
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import ray
from ray import serve
from ray.serve.schema import LoggingConfig

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.jobs_in_hand import MOST
from acestep_ray.decoder.protocol import (
    DecodeParameters,
    DecoderDescription,
    DecodeRequest,
    DeviceMemory,
    RenderedTake,
    Report,
    Sources,
)
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.snapshot import QueueStats
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.operations import Get, Submit
from acestep_ray.replicas.decoders import DECODER, decoders_of
from acestep_ray.settings import Settings
from benchmarks.service import figure
from deployments.decoder import Decoder
from deployments.job_store_client import RayJobStoreClient
from deployments.names import APP, RUNNER
from deployments.routing import ROUTING
from deployments.runner import Runner

STEPS = 8
SPEC = JobSpec(
    decode=DecodeParameters(
        caption="nothing",
        duration=60.0,
        seeds=(1,),
        steps=STEPS,
        guidance_scale=1.0,
        audio_format="wav",
    )
).model_dump_json()


class Sleeper:
    """DecoderEngine. Holds its device for so many seconds; logs a warning with the times."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def describe(self) -> DecoderDescription:
        """See DecoderEngine."""
        return DecoderDescription(
            engine="mock", model="sleeper", tasks=("text2music",), turbo=True, mock=True, device=""
        )

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """See DecoderEngine."""
        begun = time.time()
        report("diffusion", 0, STEPS)
        for step in range(1, STEPS + 1):
            # On time, however late the last step was woken, as a device would.
            time.sleep(max(0.0, begun + self._seconds * step / STEPS - time.time()))
            report("diffusion", step, STEPS)
        times = f"{os.getpid()} {begun} {time.time()}"
        yield RenderedTake(0, 1, np.zeros((100, 2), np.float32), (times,))

    def free_memory(self) -> None:
        """See DecoderEngine."""

    def loaded_adapters(self) -> frozenset[str]:
        """It has none."""
        return frozenset()

    def memory(self) -> DeviceMemory | None:
        """See DecoderEngine."""
        return None


class Nowhere(Artifacts):
    """Storage that keeps nothing."""

    async def put_file(
        self, key: str, path: Path, headers: Mapping[str, str] | None = None
    ) -> None:
        """See Artifacts."""


class SleepingDecoder(Decoder):
    """The decoder deployment with that engine and that storage."""

    async def __init__(self, settings: Settings, seconds: float) -> None:  # type: ignore[misc]
        self._serve(decoders_of(settings)[0], Sleeper(seconds), Nowhere(settings.artifacts_url))


@dataclass(frozen=True)
class Run:
    """What was measured with this number of decoders, in seconds."""

    decoders: int
    jobs: int
    wall: float
    first: float
    """From submit until the last decoder had its first job; between the median decoder's jobs; from
    the end of the last job on a device until all had succeeded."""
    between: float
    last: float

    @property
    def throughput(self) -> float:
        """Jobs per second."""
        return self.jobs / self.wall


async def until_up(client: RayJobStoreClient, decoders: int) -> None:
    """Wait until exactly so many decoders are registered."""
    while True:
        stats: QueueStats = await client.stats()
        if stats.capacity.decoders == decoders:  # what the runner sees
            return
        await asyncio.sleep(0.5)


async def measure(client: RayJobStoreClient, decoders: int, rounds: int) -> Run:
    """Queue the jobs and wait for the last."""
    ids = [str(uuid.uuid4()) for _ in range(decoders * rounds)]
    stats: QueueStats = await client.stats()
    goal = stats.store.succeeded + len(ids)
    started = time.time()
    submits = [Submit(job_id, SPEC, needs_plan=False, max_queued=10_000) for job_id in ids]
    await asyncio.gather(*(client.apply(submit) for submit in submits))
    while (stats := await client.stats()).store.succeeded < goal:
        assert not stats.store.failed
        await asyncio.sleep(0.1)
    ended = time.time()
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for job_id in ids:
        snapshot = await client.apply(Get(job_id))
        assert snapshot.record.result is not None
        result = JobResult.model_validate_json(snapshot.record.result)
        decoder, begun, done = result.warnings[0].split()
        spans[decoder].append((float(begun), float(done)))
    each = [sorted(jobs) for jobs in spans.values()]
    gaps = [after[0] - job[1] for jobs in each for job, after in pairwise(jobs)]
    return Run(
        decoders=decoders,
        jobs=len(ids),
        wall=ended - started,
        first=max(jobs[0][0] for jobs in each) - started,
        between=statistics.median(gaps) if gaps else 0.0,
        last=ended - max(jobs[-1][1] for jobs in each),
    )


def show(runs: list[Run], load: float) -> None:
    """Print the table."""
    print(f"load average before: {load:.1f}")
    head = ("decoders", "jobs", "seconds", "jobs/s", "of the ideal", "first", "between", "last")
    print("".join(f"{name:>13}" for name in head))
    for run in runs:
        share = run.throughput / (run.decoders * runs[0].throughput / runs[0].decoders)
        cells = [f"{run.decoders}", f"{run.jobs}", f"{run.wall:.1f}", f"{run.throughput:.3f}"]
        cells += [f"{share:.3f}", f"{run.first:.2f}", f"{run.between:.3f}", f"{run.last:.2f}"]
        print("".join(f"{cell:>13}" for cell in cells), flush=True)
        if run is not runs[0]:
            times = run.decoders // runs[0].decoders
            what = f"jobs a second with {run.decoders} decoders"
            figure(what, f"{share:.3f}", f"{times} times one decoder", "at least 0.95")


async def compare(settings: Settings, counts: list[int], rounds: int, seconds: float) -> None:
    """Measure each number of decoders and print the table."""
    client = RayJobStoreClient(settings)
    load = os.getloadavg()[0]
    runs = []
    for decoders in counts:
        decoder = serve.deployment(
            name=DECODER,
            num_replicas=decoders,
            # As deployed: the next job is at the replica before the device is free.
            max_ongoing_requests=MOST,
            request_router_config=ROUTING,
            health_check_period_s=2,
            graceful_shutdown_timeout_s=seconds + 10,
            ray_actor_options={"num_cpus": 0},
        )(SleepingDecoder).bind(settings, seconds)
        runner = serve.deployment(name=RUNNER, ray_actor_options={"num_cpus": 0})(Runner)
        app = runner.bind(settings, {}, {DECODER: decoder})
        await asyncio.to_thread(serve.run, app, name=APP, route_prefix=None)
        await until_up(client, decoders)
        runs.append(await measure(client, decoders, rounds))
        print(f"{decoders} decoders: {runs[-1].wall:.1f} s", flush=True)
    show(runs, load)


def main() -> None:
    """Start Ray and Serve, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decoders", type=int, nargs="+", default=[1, 4, 16, 48])
    parser.add_argument("--seconds", type=float, default=20.0, help="that a job takes")
    parser.add_argument("--rounds", type=int, default=3, help="jobs a decoder")
    args = parser.parse_args()
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "1",
        "RAY_worker_niceness": "0",
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate({"data": folder})
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        serve.start(proxy_location="Disabled", logging_config=LoggingConfig(log_level="ERROR"))
        try:
            asyncio.run(compare(settings, args.decoders, args.rounds, args.seconds))
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()


if __name__ == "__main__":
    main()
