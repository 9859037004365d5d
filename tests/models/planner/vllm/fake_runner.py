"""A model runner without a model around a real scheduler: it checks what a real runner relies on.

It keeps its own records, only from what the scheduler sends to a worker: which rows write in a
step, what is in which KV block, which job came before which.
"""

from collections import Counter, deque
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import blake2b

import torch
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.sampling_params import StructuredOutputsParams
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.engine import FinishReason
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus
from vllm.v1.structured_output import StructuredOutputManager
from vllm.v1.structured_output.backend_types import StructuredOutputGrammar

from acestep_ray.planner.sampling import Phase
from acestep_ray.planner.tokens import FIRST_CODE, IM_END
from acestep_ray.planner.vllm.params import sampling_params
from acestep_ray.planner.vllm.row_order import KEY, PAIR, RowOrder
from acestep_ray.planner.vllm.scheduler import PairScheduler

BLOCK = 16
init_none_hash(sha256)
_HASHER = get_request_block_hasher(BLOCK, sha256)


class BrokenPromise(AssertionError):
    """The scheduler did something that a runner, or a client, cannot accept."""


class AnyText(StructuredOutputGrammar):
    """A compiled grammar that allows everything."""

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        return True

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        return tokens

    def rollback(self, num_tokens: int) -> None: ...

    def fill_bitmask(self, bitmask: torch.Tensor, batch_index: int) -> None: ...

    def is_terminated(self) -> bool:
        return False

    def reset(self) -> None: ...


@dataclass
class Job:
    """One request, its result, and what was observed of it."""

    name: str
    prompt: list[int]
    order: RowOrder
    text: int = 0
    """Metadata: the number of tokens after which the LM ends it."""
    compiles: int = 0
    """Metadata: the number of steps that its grammar takes."""
    spoilt: bool = False
    """Its grammar does not compile, or it can never fit the engine."""
    abort_at: int | None = None
    arrived: int = 0
    deadline: int | None = None
    entered: bool = False
    got: list[int] = field(default_factory=list)
    reason: FinishReason | None = None
    aborted: str = ""
    """In which state."""

    @property
    def ended(self) -> bool:
        return self.reason is not None or bool(self.aborted)

    @property
    def length(self) -> int:
        return self.order.count if self.order.phase is Phase.CODES else self.text

    def token(self, step: int) -> int:
        """What the model writes; the same for both rows of a pair."""
        if self.order.phase is Phase.METADATA:
            return IM_END if step == self.text - 1 else 1000 + step
        return FIRST_CODE + int.from_bytes(blake2b(f"{self.name} {step}".encode()).digest()[:2])


@dataclass
class WorkerRow:
    """A request as a worker knows it."""

    job: Job
    tokens: list[int]
    prompt: int
    computed: int
    blocks: list[int]
    prefixes: list[bytes] = field(default_factory=lambda: [b""])

    @property
    def written(self) -> int:
        return len(self.tokens) - self.prompt

    def place(self, position: int) -> tuple[int, int]:
        return self.blocks[position // BLOCK], position % BLOCK

    def prefix(self, position: int) -> bytes:
        """Everything that keys and values at a position depend on: the tokens up to it."""
        while len(self.prefixes) < position + 2:
            token = self.tokens[len(self.prefixes) - 1].to_bytes(4)
            self.prefixes.append(blake2b(self.prefixes[-1] + token, digest_size=8).digest())
        return self.prefixes[position + 1]


class FakeRunner:
    """Runs the steps of a scheduler with jobs; with ``lag`` 1 a step is scheduled before the last
    one has returned, as in async scheduling."""

    def __init__(
        self,
        config: VllmConfig,
        scheduler: type[PairScheduler] = PairScheduler,
        *,
        slots: int,
        tokens: int,
        blocks: int,
        lag: int = 0,
    ) -> None:
        config = deepcopy(config)
        config.scheduler_config.max_num_seqs = slots
        config.scheduler_config.max_num_batched_tokens = tokens
        config.scheduler_config.async_scheduling = bool(lag)
        config.cache_config.num_gpu_blocks = blocks + 1  # one is vLLM's own
        config.cache_config.block_size = BLOCK
        attention = FullAttentionSpec(
            block_size=BLOCK, num_kv_heads=1, head_size=1, dtype=torch.float32
        )
        self.scheduler = scheduler(
            vllm_config=config,
            kv_cache_config=KVCacheConfig(
                num_blocks=blocks + 1,
                kv_cache_tensors=[],
                kv_cache_groups=[KVCacheGroupSpec(["layer"], attention)],
            ),
            structured_output_manager=StructuredOutputManager(config),
            block_size=BLOCK,
            hash_block_size=BLOCK,
            log_stats=False,
        )
        self.scheduler.use_v2_model_runner = bool(lag)
        self.slots, self.budget, self.blocks, self.lag = slots, tokens, blocks, lag
        self.jobs: dict[str, Job] = {}
        self.now = 0
        self.seen: Counter[str] = Counter()
        self._rows: dict[str, WorkerRow] = {}
        self._kv: dict[tuple[int, int], bytes] = {}
        self._flying: deque[tuple[SchedulerOutput, ModelRunnerOutput]] = deque()
        self._compiling: dict[str, tuple[int, Request]] = {}

    # As the engine core calls a scheduler

    def add(self, job: Job) -> None:
        grammar = StructuredOutputsParams(regex="x") if job.text else None
        params = sampling_params(job.order, grammar)
        params.update_from_generation_config({}, IM_END)
        request = Request(job.name, list(job.prompt), params, None, block_hasher=_HASHER)
        job.arrived = self.now
        job.spoilt |= not self._can_fit(job)
        self.jobs[job.name] = job
        if grammar:
            self._compiling[job.name] = (self.now + job.compiles, request)
        else:
            self._set_deadline(job)
        self.scheduler.add_request(request)

    def abort(self, job: Job) -> None:
        job.aborted = "decode" if job.got else "prefill" if job.entered else "waiting"
        self.seen[f"aborted in {job.aborted}"] += 1
        self.scheduler.finish_requests([job.name], RequestStatus.FINISHED_ABORTED)
        self._compiling.pop(job.name, None)
        if any(name.partition("#")[0] == job.name for name in self.scheduler.requests):
            raise BrokenPromise(f"half of {job.name} lives on")

    def step(self) -> None:
        self._compile()
        output = self.scheduler.schedule()
        self._flying.append((output, self._execute(output)))
        while len(self._flying) > self.lag:
            for client in self.scheduler.update_from_output(*self._flying.popleft()).values():
                for row in client.outputs:
                    self._receive(row.request_id, row.new_token_ids, row.finish_reason)
        self.now += 1
        for job in self.jobs.values():
            if job.deadline is not None and self.now > job.deadline and not job.ended:
                raise BrokenPromise(f"{job.name} waits since step {job.arrived}")
            if job.abort_at is not None and self.now >= job.abort_at and not job.ended:
                self.abort(job)

    @property
    def idle(self) -> bool:
        return not self.scheduler.has_requests() and not any(
            output.total_num_scheduled_tokens for output, _ in self._flying
        )

    def check_nothing_left(self) -> None:
        """All jobs have ended as they should, and the scheduler is in its first state again."""
        scheduler = self.scheduler
        for job in self.jobs.values():
            right = [job.token(step) for step in range(len(job.got))]
            if job.got != right:
                raise BrokenPromise(f"{job.name} got another's tokens")
            if job.spoilt and not job.aborted and job.reason is not FinishReason.ERROR:
                raise BrokenPromise(f"{job.name} was not refused")
            if not job.spoilt and not job.aborted and len(job.got) != job.length:
                raise BrokenPromise(f"{job.name} has {len(job.got)} tokens, not {job.length}")
        left = (scheduler.requests, scheduler.running, list(scheduler.waiting), self._pairs_left())
        if any(left):
            raise BrokenPromise(f"left behind: {left}")
        if (free := scheduler.kv_cache_manager.block_pool.get_num_free_blocks()) != self.blocks:
            raise BrokenPromise(f"{self.blocks - free} blocks have leaked")

    def _pairs_left(self) -> list[str]:
        return [*self.scheduler._shadow_of, *self.scheduler._owner_of]

    def _can_fit(self, job: Job) -> bool:
        lengths = [len(prompt) for prompt in (job.prompt, job.order.uncond) if prompt]
        ends = [length + job.order.count for length in lengths]
        read = sum(lengths) + self.slots - 2
        return (
            max(ends) <= self.scheduler.max_model_len
            and sum(-(-end // BLOCK) for end in ends) <= self.blocks
            and (len(lengths) == 1 or (self.slots > 1 and read <= self.budget))
        )

    def _set_deadline(self, job: Job) -> None:
        """One after another would be slow, but no job that can start may wait longer than that."""
        ahead = [
            other
            for other in self.jobs.values()
            if (other.entered or other.arrived <= job.arrived) and not other.ended
        ]
        job.deadline = self.now + 3 + sum(map(self._most_steps, ahead))

    def _most_steps(self, job: Job) -> int:
        if job.spoilt:
            return self.lag
        reading = -(-len(job.prompt) // (self.budget - self.slots))
        compiling = job.compiles if job.name in self._compiling else 0
        return compiling + reading + job.length + self.lag

    def _compile(self) -> None:
        for name, (ready, request) in list(self._compiling.items()):
            if self.now >= ready:
                del self._compiling[name]
                assert request.structured_output_request is not None
                job = self.jobs[name]
                self._set_deadline(job)
                request.structured_output_request._grammar = (
                    ValueError("no grammar") if job.spoilt else AnyText()
                )

    def _receive(self, name: str, tokens: list[int], reason: FinishReason | None) -> None:
        job = self.jobs.get(name)
        if job is None:
            raise BrokenPromise(f"the client receives {name}")
        if job.ended:
            raise BrokenPromise(f"{name} goes on after its end")
        job.got += tokens
        job.reason = reason
        if reason is FinishReason.ERROR:
            self.seen["refused"] += 1
            if not job.spoilt:
                raise BrokenPromise(f"{name} was failed")

    # As a worker reads a scheduler's output

    def _execute(self, output: SchedulerOutput) -> ModelRunnerOutput:
        self._update_rows(output)
        if output.total_num_scheduled_tokens > self.budget or len(self._rows) > self.slots:
            raise BrokenPromise("more than fits")
        sampled = [self._run(name, count) for name, count in output.num_scheduled_tokens.items()]
        writers = {
            name for name, token in zip(output.num_scheduled_tokens, sampled, strict=True) if token
        }
        self._check_pairs(writers)
        names = list(output.num_scheduled_tokens)
        return ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: index for index, name in enumerate(names)},
            sampled_token_ids=sampled,
        )

    def _update_rows(self, output: SchedulerOutput) -> None:
        for name in output.finished_req_ids:
            self._rows.pop(name, None)
        cached = output.scheduled_cached_reqs
        if output.preempted_req_ids or cached.resumed_req_ids:
            raise BrokenPromise("a row was preempted")
        for name, blocks in zip(cached.req_ids, cached.new_block_ids, strict=True):
            self._rows[name].blocks += blocks[0] if blocks else []
        for new in output.scheduled_new_reqs:
            params, tokens = new.sampling_params, new.prompt_token_ids
            assert params is not None and params.extra_args is not None and tokens is not None
            job = self.jobs[params.extra_args.get(PAIR, new.req_id)]
            self._check_new(new.req_id, tokens, params, job)
            if new.num_computed_tokens:
                kind = "" if new.req_id == job.name else " as a shadow"
                self.seen[f"served from the prefix cache{kind}"] += 1
            self._rows[new.req_id] = WorkerRow(
                job, list(tokens), len(tokens), new.num_computed_tokens, [*new.block_ids[0]]
            )

    def _check_new(self, name: str, tokens: list[int], params: SamplingParams, job: Job) -> None:
        if name == job.name:
            job.entered = True
            for other in self.jobs.values():
                waits = not (other.entered or other.ended or other.spoilt)
                if other.arrived < job.arrived and waits and other.name not in self._compiling:
                    raise BrokenPromise(f"{job.name} overtook {other.name}")
            assert RowOrder.from_extra_args(params.extra_args) == job.order
            assert tokens == job.prompt
        else:
            assert params.extra_args == {PAIR: job.name} and KEY not in params.extra_args
            assert params.structured_outputs is None
            assert tokens == list(job.order.uncond)

    def _run(self, name: str, count: int) -> list[int]:
        """Compute ``count`` tokens of a row; returns the next token if none is left to compute."""
        row = self._rows[name]
        # A row that uses a block of another row writes to the block's first place first.
        for position in range(0, row.computed, BLOCK):
            if self._kv.get(row.place(position)) != row.prefix(position):
                raise BrokenPromise(f"{name} reads another's KV at {position}")
        for position in range(row.computed, row.computed + count):
            self._kv[row.place(position)] = row.prefix(position)
        row.computed += count
        if row.computed < len(row.tokens):
            return []
        token = row.job.token(row.written)
        row.tokens.append(token)
        return [token]

    def _check_pairs(self, writers: set[str]) -> None:
        halves: dict[str, list[tuple[bool, int]]] = {}
        for name, row in self._rows.items():
            if row.job.order.uncond:
                halves.setdefault(row.job.name, []).append((name in writers, row.written))
        for name, pair in halves.items():
            if len(pair) != 2 or pair[0] != pair[1]:
                raise BrokenPromise(f"{name} is split: {pair}")
