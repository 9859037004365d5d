"""The logits processor that vLLM calls: guidance, the range of codes, the choice of every token.

vLLM has two model runners with different interfaces: V1 runs on a CPU, V2 on a GPU. This one class
implements both. Before vLLM calls it, it masks the tokens that a request's grammar forbids;
afterwards it takes the best token of the returned logits.
"""

import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as ForRunnerV1
from vllm.v1.worker.gpu.sample.logits_processor.interface import (
    LogitsContext,
    LogitsProcRequestState,
)
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as ForRunnerV2

from acestep_ray.planner.tokens import VOCABULARY
from acestep_ray.planner.vllm.params import check_params
from acestep_ray.planner.vllm.row_order import KEY, PAIR, RowOrder
from acestep_ray.planner.vllm.rows import Place, Row, RowWriter
from acestep_ray.planner.vllm.version import check_version


class PlanProcessor(ForRunnerV1, ForRunnerV2):
    """Chooses the tokens of every row that the planner has requested."""

    def __init__(
        self,
        vllm_config: VllmConfig,
        device_or_states: torch.device | LogitsProcRequestState,
        is_pin_memory: bool = False,
    ) -> None:
        """V1 passes a device and ``is_pin_memory``, V2 the states of its requests."""
        check_version()
        vocabulary = vllm_config.model_config.get_vocab_size()
        if vocabulary < VOCABULARY:
            raise ValueError(f"The model has {vocabulary} tokens; a 5Hz LM has {VOCABULARY}.")
        self._rows: dict[int, Row] = {}  # by the index in the batch (V1), or by the slot (V2)
        self._states: LogitsProcRequestState | None = None
        if isinstance(device_or_states, LogitsProcRequestState):
            self._states = device_or_states
            self._writer = RowWriter(device_or_states.device)
        else:
            self._writer = RowWriter(torch.device(device_or_states))

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Both runners: raise ValueError for a request that this engine does not serve.

        Called in the front-end, where only that request fails; later, the error would end the
        engine.
        """
        check_params(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """V1: False, because greedy rows need the processor too."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """V1: rows enter the batch, leave it, or change their place in it."""
        process_dict_updates(
            self._rows, batch_update, lambda params, _prompt, written: self._row(params, written)
        )

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """V2: a row gets a slot, which it keeps; the slot may have belonged to another row."""
        row = self._row(sampling_params, [])
        if row is None:
            self._rows.pop(req_idx, None)
            return False
        self._rows[req_idx] = row
        return True

    def apply(self, logits: Tensor, ctx: LogitsContext | None = None) -> Tensor:
        """Both runners: choose the tokens, in place. ``logits``: [rows, vocabulary], float32."""
        places = self._places_in_batch() if ctx is None else self._places_of_slots(ctx)
        if places:
            self._writer.write(logits, places)
        return logits

    def _places_in_batch(self) -> list[Place]:
        return [Place(row, index, len(row.written)) for index, row in self._rows.items()]

    def _places_of_slots(self, ctx: LogitsContext) -> list[Place]:
        assert self._states is not None
        prompts = self._states.prompt_len.np
        return [
            Place(self._rows[slot], index, int(length) - int(prompts[slot]))
            for index, (slot, length) in enumerate(
                zip(ctx.idx_mapping_np.tolist(), ctx.seq_lens_upper_bound_np, strict=False)
            )
            if slot in self._rows
        ]

    def _row(self, params: SamplingParams, written: list[int]) -> Row | None:
        extra = params.extra_args or {}
        pair = extra.get(PAIR)
        if KEY in extra:
            return self._writer.row(RowOrder.from_extra_args(extra), pair, written)
        return None if pair is None else self._writer.row(None, pair, written)
