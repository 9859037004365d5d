"""What the decoder deployment costs compared with bare calls of diffusers' pipeline.

The deployment's side: jobs queued in the job store actor go through a runner, Ray Serve and the
decoder deployment to files in storage. The bare side: a separate process calls ``AceStepPipeline``
in a loop, with the same weights, inputs and threads, and drops the results. Both are measured in
one run, in turns. Prints the ratio of their throughputs and where the rest of the time goes.

The model has a medium size and random weights. By default it gets one thread: on two cores it then
has one core for itself, as it would have a GPU, and everything else uses the other.
"""

import argparse
import asyncio
import logging
import multiprocessing
import os
import statistics
import tempfile
import time
import uuid
import warnings
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, get_args

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.checkpoints.sizes import TINY, Size
from acestep_ray.decoder.checkpoints.tiny import make_tiny_checkpoint
from acestep_ray.decoder.events import Decoded, DecodeEvent, DecodeFailed, DecodeProgress
from acestep_ray.decoder.protocol import DecodeParameters, DecodeRequest
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.operations import Get, Submit
from acestep_ray.planner.protocol import Plan, PlanProgress, PlanRequest
from acestep_ray.replicas.decoders import DECODER, decoders_of
from acestep_ray.settings import Settings
from benchmarks.service import figure
from deployments.decoder import Decoder
from deployments.job_store_client import RayJobStoreClient
from deployments.runner import HandleEngines

MIDDLING = Size(
    dit=TINY.dit
    | {
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "layer_types": ["full_attention" if i % 2 else "sliding_attention" for i in range(8)],
        "sliding_window": 128,
        "text_hidden_dim": 128,
        "fsq_dim": 256,
    },
    text_encoder=TINY.text_encoder | {"hidden_size": 128, "intermediate_size": 384, "head_dim": 32},
    vae=TINY.vae | {"downsampling_ratios": [2, 4, 4, 6, 10], "decoder_channels": 8},
)
"""A job of 30 s takes two to three seconds on one core."""

SONG: dict[str, Any] = {"lyrics": "[verse]\nwe sing along", "vocal_language": "en", "bpm": 120}
CAPTION = "pop rock with a driving beat"
STEPS = 8
SHIFT = 3.0
ROUNDS = 2
Phases = dict[str, list[float]]
"""Seconds per job, by what used them."""
Format = Literal["mp3", "flac", "wav"]


class Bare:
    """A process that only calls the pipeline."""

    def __init__(self, folder: Path, threads: int) -> None:
        # A new interpreter: it must not inherit torch's threads from this process.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=call_pipeline, args=(theirs, folder, threads))
        self._process.start()
        theirs.close()

    def make(self, jobs: int, seconds: float) -> tuple[float, Phases]:
        """How long this many jobs take, and what uses the time."""
        self._pipe.send((jobs, seconds))
        answer: tuple[float, Phases] = self._pipe.recv()
        return answer

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()


def call_pipeline(orders: Connection, folder: Path, threads: int) -> None:
    """What the bare process runs."""
    import torch  # noqa: PLC0415  only this process needs them
    from diffusers import AceStepPipeline  # noqa: PLC0415
    from diffusers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    pipeline: Any = AceStepPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae.enable_tiling()  # as the deployment decodes, and faster on a CPU
    spent: dict[str, float] = defaultdict(float)

    def clock(module: Any, name: str) -> None:
        def begin(*_: Any) -> None:
            spent[name] -= time.perf_counter()

        def end(*_: Any) -> None:
            spent[name] += time.perf_counter()

        module.register_forward_pre_hook(begin)
        module.register_forward_hook(end)

    clock(pipeline.transformer, "diffusion")
    clock(pipeline.vae.decoder, "vae")
    while True:
        try:
            jobs, seconds = orders.recv()
        except EOFError:
            return  # the benchmark has ended, for whatever reason
        phases: Phases = defaultdict(list)
        started = time.perf_counter()
        for seed in range(jobs):
            spent.clear()
            began = time.perf_counter()
            pipeline(
                prompt=f"{CAPTION}, number {seed}",
                **SONG,
                audio_duration=seconds,
                num_inference_steps=STEPS,
                guidance_scale=1.0,
                shift=SHIFT,
                timesignature="4",
                generator=torch.Generator().manual_seed(seed),
                output_type="np",
            )
            spent["encoding"] = time.perf_counter() - began - spent["diffusion"] - spent["vae"]
            for name, took in spent.items():
                phases[name].append(took)
        orders.send((time.perf_counter() - started, dict(phases)))


class Watched(HandleEngines):
    """The runner's connection to the decoder; notes when each event of a job arrived."""

    def __init__(self, decoder: DeploymentHandle[Any]) -> None:
        super().__init__(Settings(), {}, {DECODER: decoder})
        self.times: list[dict[str, float]] = []
        """By job, in the order of their ends: when each stage was first reported, and the end."""

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """No job in this benchmark has a plan."""
        raise NotImplementedError

    async def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See Engines.decode."""
        times: dict[str, float] = {}
        async with aclosing(super().decode(request)) as events:
            async for event in events:
                if isinstance(event, DecodeFailed):
                    raise RuntimeError(event.detail)
                name = event.stage if isinstance(event, DecodeProgress) else "end"
                times.setdefault(name, time.perf_counter())
                if isinstance(event, Decoded):
                    self.times.append(times)
                yield event


class Deployment:
    """The decoder behind Ray Serve, and a runner that passes queued jobs to it."""

    def __init__(
        self, settings: Settings, handle: DeploymentHandle[Any], audio_format: Format
    ) -> None:
        self._client = RayJobStoreClient(settings)
        self._format = audio_format
        self._engines = Watched(handle)
        artifacts = Artifacts(settings.artifacts_url)
        self._runner = Runner(self._client, self._engines, artifacts, settings)

    def start(self) -> None:
        """Begin to lease jobs; in the event loop."""
        self._runner.start()

    async def make(self, jobs: int, seconds: float) -> tuple[float, Phases]:
        """How long this many jobs take from submit to succeeded, and what uses the time."""
        self._engines.times.clear()
        ids = [str(uuid.uuid4()) for _ in range(jobs)]
        started = time.perf_counter()
        submits = [
            Submit(job_id, spec(seed, seconds, self._format).model_dump_json(), needs_plan=False)
            for seed, job_id in enumerate(ids)
        ]
        await asyncio.gather(*(self._client.apply(submit) for submit in submits))
        for job_id in ids:
            await self._succeeded(job_id)
        ended = time.perf_counter()
        return ended - started, phases_of(self._engines.times, started, ended)

    async def _succeeded(self, job_id: str) -> None:
        while True:
            snapshot = await self._client.apply(Get(job_id))
            record = snapshot.record
            if record.status is Status.SUCCEEDED:
                return
            assert record.status is not Status.FAILED, record.error
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Let the runner leave."""
        await self._runner.drain()


def phases_of(times: list[dict[str, float]], started: float, ended: float) -> Phases:
    """What the events of jobs that ran from ``started`` to ``ended`` show."""
    phases: Phases = defaultdict(list)
    times = sorted(times, key=lambda job: job["encoding"])
    for job in times:
        phases["encoding"].append(job["diffusion"] - job["encoding"])
        phases["diffusion"].append(job["vae"] - job["diffusion"])
        phases["vae"].append(job["storing"] - job["vae"])
        phases["file"].append(job["end"] - job["storing"])
    phases["before the first job"] = [times[0]["encoding"] - started]
    phases["between jobs"] = [after["encoding"] - job["storing"] for job, after in pairwise(times)]
    phases["after the last job"] = [ended - times[-1]["storing"]]
    return phases


def spec(seed: int, seconds: float, audio_format: Format) -> JobSpec:
    """A job as the HTTP side stores it."""
    return JobSpec(
        decode=DecodeParameters(
            # Texts of its own: those of the last jobs would not be encoded again.
            caption=f"{CAPTION}, number {seed}",
            **SONG,
            time_signature="4",
            duration=seconds,
            seeds=(seed,),
            steps=STEPS,
            guidance_scale=1.0,
            shift=SHIFT,
            audio_format=audio_format,
        )
    )


def show(bare: Phases, served: Phases, jobs: int, bare_wall: float, wall: float) -> None:
    """Print both sides, and what makes the served side slower."""
    print(f"served {jobs / wall:.3f} jobs/s, bare {jobs / bare_wall:.3f} jobs/s")
    print(f"{'median s a job':<22}{'bare':>8}{'served':>8}{'more, of all time served':>28}")
    for name in ("encoding", "diffusion", "vae"):
        share = 100 * (sum(served[name]) - sum(bare[name])) / wall
        medians = [statistics.median(side[name]) for side in (bare, served)]
        print(f"{name:<22}{medians[0]:>8.3f}{medians[1]:>8.3f}{share:>26.1f} %")
    for name in ("before the first job", "between jobs", "after the last job"):
        share = 100 * sum(served[name]) / wall
        print(f"{name:<22}{'':>8}{statistics.median(served[name]):>8.3f}{share:>26.1f} %")
    beside = statistics.median(served["file"])
    print(f"encoding and storing the file, beside the next job: {beside:.3f} s a job")
    ends = sum(served["before the first job"]) + sum(served["after the last job"])
    print(f"served against bare: {bare_wall / wall:.3f}")
    figure(
        "speed of the whole path (a random model, on the CPU)",
        f"{bare_wall / wall:.2f}",
        "calls of the pipeline in a loop",
        "0.95 on a GPU",
    )
    print(f"served against bare, while jobs wait: {bare_wall / (wall - ends):.3f}")


async def compare(deployment: Deployment, bare: Bare, jobs: int, seconds: float) -> None:
    """Run both sides in turns and print the results."""
    deployment.start()
    walls = {"bare": 0.0, "served": 0.0}
    phases: dict[str, Phases] = {name: defaultdict(list) for name in walls}
    await deployment.make(2, seconds)  # capacity is known, caches are filled
    bare.make(1, seconds)
    for turn in range(ROUNDS):
        # The sides take turns at being first, so other work on this machine affects both.
        for name in ("served", "bare") if turn % 2 == 0 else ("bare", "served"):
            load = os.getloadavg()[0]
            if name == "bare":
                wall, spent = await asyncio.to_thread(bare.make, jobs, seconds)
            else:
                wall, spent = await deployment.make(jobs, seconds)
            print(f"round {turn + 1}, {name}: {wall:.2f} s (load before: {load:.1f})", flush=True)
            walls[name] += wall
            for what, each in spent.items():
                phases[name][what] += each
    show(phases["bare"], phases["served"], ROUNDS * jobs, walls["bare"], walls["served"])
    await deployment.stop()


def main() -> None:
    """Make the model, start both sides, compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20, help="in each turn")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a take")
    parser.add_argument("--format", default="mp3", choices=get_args(Format), help="of the file")
    parser.add_argument("--threads", type=int, default=1, help="of the model, on either side")
    args = parser.parse_args()
    if args.jobs < 2:
        parser.error("one job has no next one: --jobs is at least 2")
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "1",
        # The same number for both sides, and the same priority: Ray's workers have niceness 15.
        "OMP_NUM_THREADS": str(args.threads),
        "RAY_worker_niceness": "0",
    }
    with tempfile.TemporaryDirectory() as folder:
        model = make_tiny_checkpoint(Path(folder) / "model", "diffusers", size=MIDDLING)
        bare = Bare(model, args.threads)
        settings = Settings(
            decoder="diffusers",
            checkpoints=model,
            data=Path(folder) / "data",
            dit={"device": "cpu"},
        )
        ray.init(
            num_cpus=args.threads,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
        try:
            logging.getLogger("ray.serve").setLevel(logging.WARNING)
            serve.start(proxy_location="Disabled")
            decoder = serve.deployment(
                name=DECODER,
                max_ongoing_requests=2,
                ray_actor_options={"num_cpus": args.threads},
                logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False),
            )(Decoder)
            handle = serve.run(decoder.bind(decoders_of(settings)[0]), route_prefix=None)
            deployment = Deployment(settings, handle, args.format)
            asyncio.run(compare(deployment, bare, args.jobs, args.seconds))
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()
            bare.stop()


if __name__ == "__main__":
    main()
