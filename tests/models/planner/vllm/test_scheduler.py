"""The pair scheduler's guarantees, one by one. (All of them at random: test_scheduler_fuzz.)"""

from copy import deepcopy
from typing import Any

import pytest
import vllm
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.engine import FinishReason
from vllm.v1.request import Request, RequestStatus

from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.vllm.row_order import RowOrder
from acestep_ray.planner.vllm.scheduler import PairScheduler
from acestep_ray.planner.vllm.version import VLLM, check_version
from tests.models.planner.vllm.fake_runner import FakeRunner, Job

PROMPT = list(range(40))
UNCOND = tuple(range(100, 120))


def guided(name: str, count: int = 20, uncond: tuple[int, ...] = UNCOND) -> Job:
    return Job(name, PROMPT, RowOrder(Phase.CODES, Sampling(cfg_scale=2.0), count, uncond))


def unguided(name: str, count: int = 20, prompt: list[int] = PROMPT) -> Job:
    return Job(name, prompt, RowOrder(Phase.CODES, Sampling(), count))


@pytest.fixture(params=[0, 1], ids=["sync", "async"])
def lag(request: pytest.FixtureRequest) -> int:
    assert isinstance(request.param, int)
    return request.param


def runner(config: VllmConfig, lag: int = 0, **sizes: Any) -> FakeRunner:
    return FakeRunner(config, **({"slots": 4, "tokens": 256, "blocks": 100} | sizes), lag=lag)


def run(runner: FakeRunner, steps: int = 500) -> None:
    while not runner.idle:
        runner.step()
        assert runner.now < steps


def test_small_jobs_do_not_starve_a_pair(vllm_config: VllmConfig, lag: int) -> None:
    """Three slots are always requested by jobs that need one; a pair needs two at once."""
    engine = runner(vllm_config, lag, slots=3)
    pair = guided("pair")
    for step in range(100):
        engine.add(unguided(f"small-{step}", count=5))
        if step == 10:
            engine.add(pair)
        engine.step()
        if pair.ended:
            break
    assert pair.ended
    assert engine.now < 100
    run(engine)
    engine.check_nothing_left()


def test_a_compiling_grammar_holds_nobody_up(vllm_config: VllmConfig, lag: int) -> None:
    engine = runner(vllm_config, lag)
    order = RowOrder(Phase.METADATA, Sampling(), 100)
    slow = Job("slow", PROMPT, order, text=5, compiles=60)
    engine.add(slow)
    others = [guided("pair"), unguided("single")]
    for job in others:
        engine.add(job)
    while not all(job.ended for job in others):
        engine.step()
    assert engine.now < 60
    assert not slow.entered
    run(engine)
    engine.check_nothing_left()


@pytest.mark.parametrize(
    ("job", "sizes", "why"),
    [
        (unguided("long", 985), {}, "1025 tokens are more than max_model_len 1024"),
        (guided("long", 1005, (1,) * 20), {}, "1045 tokens are more than max_model_len 1024"),
        (guided("cold", 5, (1,) * 1020), {}, "1025 tokens are more than max_model_len 1024"),
        (guided("wide", 100), {"blocks": 16}, "17 KV blocks are more than all 16"),
        (guided("alone"), {"slots": 1}, "2 rows are more than max_num_seqs 1"),
        (guided("deep", 5, (1,) * 215), {}, "257 tokens are more than max_num_batched_tokens 256"),
    ],
)
def test_what_can_never_fit_is_refused_at_once(
    vllm_config: VllmConfig,
    lag: int,
    caplog: pytest.LogCaptureFixture,
    job: Job,
    sizes: dict[str, Any],
    why: str,
) -> None:
    job = deepcopy(job)
    engine = runner(vllm_config, lag, **sizes)
    neighbours = [unguided("before"), job, unguided("after")]
    for each in neighbours:
        engine.add(each)
    for _ in range(1 + lag):
        engine.step()
    assert job.reason is FinishReason.ERROR
    assert why in caplog.text
    run(engine)
    engine.check_nothing_left()
    assert [len(each.got) for each in neighbours] == [20, 0, 20]


def test_the_largest_that_fits_is_served(vllm_config: VllmConfig, lag: int) -> None:
    for job, sizes in (
        (guided("long", 984), {"blocks": 127}),
        (guided("wide", 100, (1,) * 28), {"blocks": 17}),
        (guided("two"), {"slots": 2}),
        (guided("deep", 5, (1,) * 214), {}),
    ):
        engine = runner(vllm_config, lag, **sizes)
        engine.add(job)
        run(engine, steps=1100)
        engine.check_nothing_left()
        assert job.reason is FinishReason.LENGTH


def test_a_request_without_an_order_fails_alone(vllm_config: VllmConfig) -> None:
    """The front-end accepts none. If one comes all the same, the engine must still work."""
    engine = runner(vllm_config)
    pair = guided("pair")
    engine.add(pair)
    stray = Job("stray", PROMPT, unguided("").order, spoilt=True)
    engine.jobs["stray"] = stray
    params = SamplingParams(temperature=0.0, extra_args={"acestep": {"phase": "codes"}})
    engine.scheduler.add_request(Request("stray", PROMPT, params, None))
    run(engine)
    engine.check_nothing_left()
    assert len(pair.got) == 20


class Lenient(FakeRunner):
    """Runs a split pair as a worker would, to see what the client gets."""

    def _check_pairs(self, writers: set[str]) -> None: ...

    def _update_rows(self, output: SchedulerOutput) -> None:
        for name in output.preempted_req_ids or ():
            del self._rows[name]
        output.preempted_req_ids = set()
        super()._update_rows(output)


class StockAdmission(PairScheduler):
    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:
        output = AsyncScheduler.schedule(self, throttle_prefills)
        self._watch(output)
        return output


def test_a_split_pair_fails_and_nobody_else(vllm_config: VllmConfig, lag: int) -> None:
    """One slot is left, so vLLM's own admission would take half of the pair."""
    engine = Lenient(vllm_config, StockAdmission, slots=3, tokens=256, blocks=100, lag=lag)
    single = [unguided("one"), unguided("two")]
    pair = guided("pair")
    for job in (*single, pair):
        engine.add(job)
    pair.spoilt = True
    run(engine)
    engine.check_nothing_left()
    assert pair.reason is FinishReason.ERROR
    assert [job.reason for job in single] == [FinishReason.LENGTH] * 2


def test_what_is_preempted_fails(vllm_config: VllmConfig, lag: int) -> None:
    """vLLM does so when its prefix cache is reset during work."""
    engine = Lenient(vllm_config, slots=4, tokens=256, blocks=100, lag=lag)
    running, waiting = [guided("pair"), unguided("single")], [guided("next"), unguided("last")]
    for job in (*running, *waiting):
        engine.add(job)
    for _ in range(5):
        engine.step()
    assert [job.entered for job in (*running, *waiting)] == [True, True, False, False]
    for job in running:
        job.spoilt = True
    engine.scheduler.reset_prefix_cache(reset_running_requests=True)
    run(engine)
    engine.check_nothing_left()
    assert [job.reason for job in running] == [FinishReason.ERROR] * 2
    assert [job.reason for job in waiting] == [FinishReason.LENGTH] * 2


@pytest.mark.parametrize("half", ["pair", "pair#uncond"])
def test_a_half_that_is_left_alone_fails(vllm_config: VllmConfig, lag: int, half: str) -> None:
    engine = Lenient(vllm_config, slots=4, tokens=256, blocks=100, lag=lag)
    pair, single = guided("pair"), unguided("single")
    engine.add(pair)
    engine.add(single)
    for _ in range(5):
        engine.step()
    pair.spoilt = True
    AsyncScheduler.finish_requests(engine.scheduler, half, RequestStatus.FINISHED_ABORTED)
    if half == "pair":
        pair.aborted = "decode"
    run(engine)
    engine.check_nothing_left()
    assert single.reason is FinishReason.LENGTH


@pytest.mark.parametrize("state", [PauseState.PAUSED_NEW, PauseState.PAUSED_ALL])
def test_a_pause_loses_nobody(vllm_config: VllmConfig, lag: int, state: PauseState) -> None:
    engine = runner(vllm_config, lag)
    jobs = [guided("one"), guided("two"), unguided("three"), guided("four")]
    engine.add(jobs[0])
    engine.step()
    engine.scheduler.set_pause_state(state)
    for job in jobs[1:]:
        engine.add(job)
    for _ in range(5):
        engine.step()
    assert [job.entered for job in jobs] == [True, False, False, False]
    engine.scheduler.set_pause_state(PauseState.UNPAUSED)
    run(engine)
    engine.check_nothing_left()


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("scheduler_config", "policy", "priority"),
        ("scheduler_config", "enable_chunked_prefill", False),
        ("scheduler_config", "long_prefill_token_threshold", 64),
        ("scheduler_config", "watermark", 0.1),
        ("parallel_config", "tensor_parallel_size", 2),
        ("parallel_config", "data_parallel_size", 2),
    ],
)
def test_engine_arguments_that_part_pairs_are_refused(
    vllm_config: VllmConfig, part: str, name: str, value: object
) -> None:
    config = deepcopy(vllm_config)
    setattr(getattr(config, part), name, value)
    with pytest.raises(ValueError, match=f"needs {name} .*, not"):
        runner(config)


def test_another_vllm_is_refused(vllm_config: VllmConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    check_version()
    monkeypatch.setattr(vllm, "__version__", f"{VLLM}+cu130")
    check_version()
    monkeypatch.setattr(vllm, "__version__", "0.99.0")
    with pytest.raises(RuntimeError, match=rf"vLLM {VLLM}, but 0\.99\.0 is installed"):
        runner(vllm_config)
