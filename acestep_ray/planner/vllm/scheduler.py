"""Guided songs in vLLM: a scheduler that makes two rows of one request and keeps them together.

Guidance needs the logits of the conditional and of the unconditional prompt in the same step, and
writes one token to both. vLLM has no such pairs: it admits one prompt without the other, reads
prompts in parts, and preempts single requests. So this scheduler has these rules:

- A guided request gets a *shadow* when it arrives, which is never visible outside.
- A pair enters when both whole prompts fit into one step. Then both write their first token in the
  same step, and one more in each later step; their lengths do not matter.
- Every request that enters has KV blocks for all that it may write, so none is ever preempted.
- A request that can never enter is refused at once, instead of blocking all requests after it.
- When one half ends, the other is ended too, and a pair that is out of step nevertheless is failed.

First come, first served: small requests never overtake a pair that waits for room. Only a request
whose grammar is being compiled may be overtaken. At admission, tokens that the prefix cache will
save are counted in full: they are known only later, and only to vLLM.

Every exception that is raised here ends the engine with all its jobs. Therefore a request that
cannot continue is put into ``grammar_compile_error_reqs``, vLLM's own way to fail a single request:
its client gets the finish reason "error".
"""

import logging
from collections.abc import Iterable
from copy import copy
from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.request_queue import RequestQueue, SchedulingPolicy, create_request_queue
from vllm.v1.engine import EngineCoreOutputs
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus

from acestep_ray.planner.vllm.row_order import PAIR, RowOrder
from acestep_ray.planner.vllm.version import check_version

logger = logging.getLogger(__name__)


class PairScheduler(AsyncScheduler):
    """Works with and without async scheduling. (A direct subclass of Scheduler turns it off.)"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Called by vLLM. Raises ValueError for engine arguments with which pairs do not work."""
        check_version()
        super().__init__(*args, **kwargs)
        self._shadow_of: dict[str, str] = {}  # id of the request -> id of its shadow
        self._owner_of: dict[str, str] = {}  # id of the shadow -> id of its request
        self._most_rows = self.max_num_active_reqs
        self._most_tokens = min(
            self.max_num_scheduled_tokens, self.scheduler_config.max_num_batched_tokens
        )
        self._most_blocks = self.kv_cache_manager.block_pool.num_gpu_blocks - 1  # vLLM needs one
        self._check_engine()

    def _check_engine(self) -> None:
        config, parallel = self.scheduler_config, self.parallel_config
        for name, value, needed in (
            ("policy", self.policy, SchedulingPolicy.FCFS),
            ("enable_chunked_prefill", config.enable_chunked_prefill, True),
            ("long_prefill_token_threshold", config.long_prefill_token_threshold, 0),
            ("watermark", config.watermark, 0),
            ("num_speculative_tokens", self.num_spec_tokens, 0),
            ("tensor_parallel_size", parallel.tensor_parallel_size, 1),
            ("pipeline_parallel_size", parallel.pipeline_parallel_size, 1),
            ("data_parallel_size", parallel.data_parallel_size, 1),
            ("kv_transfer_config", self.connector, None),
            ("number of KV cache groups", len(self.kv_cache_config.kv_cache_groups), 1),
        ):
            if value != needed:
                raise ValueError(f"The vllm planner needs {name} {needed}, not {value}.")

    # Arriving

    def add_request(self, request: Request) -> None:
        """Overridden to make the shadow, so that both are added together, and to refuse requests
        that never fit."""
        super().add_request(request)
        try:
            params = request.sampling_params
            order = RowOrder.from_extra_args(params.extra_args if params else None)
        except ValueError as error:  # does not occur: the front-end has checked it
            return self._fail(request.request_id, str(error))
        unit = [request]
        if order.uncond:
            unit.append(_make_shadow(request, order))
        if why := self._never_fits(unit):
            return self._fail(request.request_id, why)
        for shadow in unit[1:]:
            self._shadow_of[request.request_id] = shadow.request_id
            self._owner_of[shadow.request_id] = request.request_id
            super().add_request(shadow)
        return None

    def _never_fits(self, unit: list[Request]) -> str:
        longest = max(row.num_tokens + row.max_tokens for row in unit)
        blocks = sum(map(self._blocks, unit))
        # Each of the other rows may take one token of a step.
        tokens = sum(row.num_tokens for row in unit) + self._most_rows - len(unit)
        if longest > self.max_model_len:
            return f"{longest} tokens are more than max_model_len {self.max_model_len}"
        if blocks > self._most_blocks:
            return f"{blocks} KV blocks are more than all {self._most_blocks}"
        if len(unit) > self._most_rows:
            return f"{len(unit)} rows are more than max_num_seqs {self._most_rows}"
        if len(unit) > 1 and tokens > self._most_tokens:
            return f"{tokens} tokens are more than max_num_batched_tokens {self._most_tokens}"
        return ""

    def _blocks(self, request: Request) -> int:
        """The most KV blocks that a request may ever need."""
        return -(-(request.num_prompt_tokens + request.max_tokens) // self.block_size)

    # Entering

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:
        """Overridden: in this step, vLLM sees only those waiting requests that fit completely."""
        waiting = self.waiting
        self.waiting = self._admit()
        output = super().schedule(throttle_prefills)
        waiting.prepend_requests(reversed(list(self.waiting)))  # none, unless vLLM is paused
        self.waiting = waiting
        self._watch(output)
        return output

    def _admit(self) -> RequestQueue:
        """Take the requests that can enter now from ``waiting``, in order of arrival."""
        admitted = create_request_queue(self.policy)
        rows = self._most_rows - len(self.running)
        blocks = self._most_blocks - sum(map(self._blocks, self.running))
        tokens = self._most_tokens - sum(map(_tokens_due, self.running))
        for request in self.waiting:
            if rows < 1 or tokens < 1:
                break
            if request.request_id in self._owner_of:
                continue  # enters with its owner
            if request.request_id in self.grammar_compile_error_reqs:
                continue
            if not self._handle_blocked_waiting_request(request):
                continue
            unit = [request, *self._others(request.request_id)]
            needed = sum(row.num_tokens for row in unit) if len(unit) > 1 else 1
            if rows < len(unit) or tokens < needed or blocks < sum(map(self._blocks, unit)):
                break
            for row in unit:
                admitted.add_request(row)
                rows -= 1
                blocks -= self._blocks(row)
                tokens -= row.num_tokens
        if admitted:
            self.waiting.remove_requests(admitted)
        return admitted

    def _watch(self, output: SchedulerOutput) -> None:
        """Fail a pair that is not in step. This should never occur; its codes would be wrong."""
        for owner_id, shadow_id in self._shadow_of.items():
            rows = [self.requests[i] for i in (owner_id, shadow_id) if i in self.requests]
            steps = {
                (
                    row.request_id in output.num_scheduled_tokens,
                    row.num_output_tokens + row.num_output_placeholders,
                )
                for row in rows
            }
            if len(steps) > 1 or any(row.is_prefill_chunk for row in rows):
                self._fail(owner_id, "its two rows are out of step")

    def _preempt_request(
        self, request: Request, timestamp: float, drop_stale_output: bool = False
    ) -> None:
        """Overridden because a preempted row loses its other half and its state in the processor.

        KV blocks never run out here, but vLLM also preempts to reset its prefix cache.
        """
        super()._preempt_request(request, timestamp, drop_stale_output)
        self._fail(request.request_id, "it was preempted")

    # Leaving

    def finish_requests(
        self, request_ids: str | Iterable[str] | None, finished_status: RequestStatus
    ) -> list[Request]:
        """Overridden to end both halves, because the caller knows only one."""
        if request_ids is not None:
            ids = {request_ids} if isinstance(request_ids, str) else set(request_ids)
            request_ids = ids | {row.request_id for i in ids for row in self._others(i)}
        finished = super().finish_requests(request_ids, finished_status)
        return [request for request in finished if request.request_id not in self._owner_of]

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[int, EngineCoreOutputs]:
        """Overridden to leave out the outputs of shadows, and to fail a half that is left alone."""
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        for client in outputs.values():
            client.outputs = [row for row in client.outputs if row.request_id not in self._owner_of]
        for owner_id, shadow_id in list(self._shadow_of.items()):
            left = {owner_id, shadow_id} & self.requests.keys()
            if not left:
                del self._shadow_of[owner_id], self._owner_of[shadow_id]
            elif len(left) == 1:
                self._fail(left.pop(), "the other row of its pair has ended")
        return outputs

    def _others(self, request_id: str) -> list[Request]:
        other = self._shadow_of.get(request_id) or self._owner_of.get(request_id)
        return [self.requests[other]] if other in self.requests else []

    def _fail(self, request_id: str, why: str) -> None:
        logger.error("Request %s fails: %s.", request_id, why)
        self.grammar_compile_error_reqs.add(request_id)


def _tokens_due(request: Request) -> int:
    """How many tokens of this step a running request takes: one, or the rest of its prompt."""
    return (
        request.num_tokens_with_spec + request.num_output_placeholders - request.num_computed_tokens
    )


def _make_shadow(request: Request, order: RowOrder) -> Request:
    """The unconditional row of a request. Marks both as a pair for the processor.

    It has no grammar: the processor chooses its tokens. Its prompt has its own hashes, so it uses
    the prefix cache too.
    """
    params = request.sampling_params
    assert params is not None
    unconditional = copy(params)
    unconditional.structured_outputs = None
    unconditional.extra_args = {PAIR: request.request_id}
    params.extra_args = {**(params.extra_args or {}), PAIR: request.request_id}
    return Request(
        request_id=f"{request.request_id}#uncond",
        prompt_token_ids=list(order.uncond),
        sampling_params=unconditional,
        pooling_params=None,
        client_index=request.client_index,
        arrival_time=request.arrival_time,
        priority=request.priority,
        lora_request=request.lora_request,
        cache_salt=request.cache_salt,
        block_hasher=request._block_hasher,
    )
