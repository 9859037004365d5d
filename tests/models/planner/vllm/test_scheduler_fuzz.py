"""Random jobs through the real scheduler: no pair is split; no job is preempted, overtaken or lost.

vLLM's scheduler is not a public interface. This test shows whether ours still works with a new
version; the last tests show whether this one would fail otherwise.
"""

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from vllm.config import VllmConfig
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.request_queue import RequestQueue
from vllm.v1.engine import EngineCoreOutputs
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus

from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.vllm.row_order import RowOrder
from acestep_ray.planner.vllm.scheduler import PairScheduler
from tests.models.planner.vllm.fake_runner import BrokenPromise, FakeRunner, Job

SEEDS = 200
JOBS = 40


def fuzz(
    config: VllmConfig, seed: int, scheduler: type[PairScheduler] = PairScheduler
) -> FakeRunner:
    """Forty jobs that arrive, end and are aborted at random, on an engine of random size."""
    rng = random.Random(seed)
    runner = FakeRunner(
        config,
        scheduler,
        slots=rng.choice([2, 3, 5, 8, 16]),
        tokens=rng.choice([256, 300, 512, 2048]),
        blocks=rng.choice([60, 90, 200, 1000]),
        lag=rng.choice([0, 1]),
    )
    shared = [rng.randrange(150_000) for _ in range(400)]
    jobs = [random_job(rng, f"job-{number}", shared) for number in range(JOBS)]
    arrivals = {}
    at = 0
    for job in jobs:
        at += rng.choice([0, 0, 1, 3, 10])
        arrivals[job.name] = at
        if rng.random() < 0.15:
            job.abort_at = at + rng.choice([0, 1, 2, 5, 40])
    while jobs or not runner.idle:
        while jobs and arrivals[jobs[0].name] <= runner.now:
            runner.add(jobs.pop(0))
        runner.step()
    runner.check_nothing_left()
    return runner


def random_job(rng: random.Random, name: str, shared: list[int]) -> Job:
    def prompt(most: int) -> list[int]:
        """Some begin like others, so that the prefix cache is used."""
        length = rng.randrange(1, most)
        begun = shared[: rng.choice([0, length // 2, length])]
        return begun + [rng.randrange(150_000) for _ in range(length - len(begun))]

    kind = rng.random()
    if kind < 0.6:
        most = rng.choice([20, 110, 110, 500])
        order = RowOrder(Phase.CODES, Sampling(cfg_scale=2.0), length(rng), (*prompt(most),))
        return Job(name, prompt(110), order)
    if kind < 0.75:
        count = rng.choice([length(rng), 1000])
        return Job(name, prompt(400), RowOrder(Phase.CODES, Sampling(), count))
    order = RowOrder(Phase.METADATA, Sampling(), 80)
    compiles, spoilt = rng.choice([0, 1, 20]), rng.random() < 0.1
    return Job(name, prompt(400), order, rng.randrange(1, 80), compiles, spoilt)


def length(rng: random.Random) -> int:
    return rng.choice([1, 2, rng.randrange(1, 60)])


@pytest.mark.parametrize("part", range(4))
def test_every_job_ends_as_it_should(vllm_config: VllmConfig, part: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(part * SEEDS // 4, (part + 1) * SEEDS // 4):
        seen += fuzz(vllm_config, seed).seen
    for what in (
        "refused",
        "served from the prefix cache",
        "served from the prefix cache as a shadow",
        "aborted in waiting",
        "aborted in prefill",
        "aborted in decode",
    ):
        assert seen[what] > 5, seen


class StockAdmission(PairScheduler):
    """Shadows, but with vLLM's own admission."""

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:
        return AsyncScheduler.schedule(self, throttle_prefills)


def test_stock_admission_splits_pairs(vllm_config: VllmConfig) -> None:
    """The check of this test: nearly every run must detect what the scheduler prevents."""
    split = 0
    for seed in range(SEEDS):
        try:
            fuzz(vllm_config, seed, StockAdmission)
        except BrokenPromise as broken:
            split += "is split" in str(broken)
    assert split > 0.8 * SEEDS


class NothingReserved(PairScheduler):
    def _blocks(self, request: Request) -> int:
        return 0


class SmallOnesFirst(PairScheduler):
    def _admit(self) -> RequestQueue:
        for request in sorted(self.waiting, key=lambda request: request.num_tokens):
            self.waiting.remove_request(request)
            self.waiting.add_request(request)
        return super()._admit()


class NobodyRefused(PairScheduler):
    def _never_fits(self, unit: list[Request]) -> str:
        return ""


class HalvesAborted(PairScheduler):
    def finish_requests(
        self, request_ids: str | Iterable[str] | None, finished_status: RequestStatus
    ) -> list[Request]:
        return AsyncScheduler.finish_requests(self, request_ids, finished_status)


class ShadowsShown(PairScheduler):
    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[int, EngineCoreOutputs]:
        return AsyncScheduler.update_from_output(self, scheduler_output, model_runner_output)


class ForeignHashes(PairScheduler):
    def add_request(self, request: Request) -> None:
        super().add_request(request)
        for shadow in self._others(request.request_id):
            both = min(len(shadow.block_hashes), len(request.block_hashes))
            shadow.block_hashes[:both] = request.block_hashes[:both]


@pytest.mark.parametrize(
    ("mutant", "broken"),
    [
        (NothingReserved, "preempted"),
        (SmallOnesFirst, "overtook"),
        (NobodyRefused, "waits since"),
        (HalvesAborted, "lives on"),
        (ShadowsShown, "the client receives"),
        (ForeignHashes, "reads another's KV"),
    ],
)
def test_the_fuzz_notices(
    vllm_config: VllmConfig, mutant: type[PairScheduler], broken: str
) -> None:
    """Each guarantee is checked: a scheduler that breaks it is detected within a few runs."""
    found = []
    for seed in range(SEEDS):
        try:
            fuzz(vllm_config, seed, mutant)
        except BrokenPromise as error:
            found.append(str(error))
            if broken in found[-1]:
                return
    raise AssertionError(f"unnoticed; found was {found}")
