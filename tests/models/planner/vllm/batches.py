"""vLLM's two ways of keeping a batch and calling a logits processor, without a model."""

import os
import random
from collections.abc import Mapping, Set
from typing import Protocol

import numpy as np
import pytest
import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.v1.sample.logits_processor import build_logitsprocs
from vllm.v1.sample.logits_processor.interface import MoveDirectionality
from vllm.v1.sample.logits_processor.state import BatchUpdateBuilder
from vllm.v1.worker.gpu import buffer_utils
from vllm.v1.worker.gpu.sample.logits_processor.loader import build_custom_logits_processors
from vllm.v1.worker.gpu.sample.sampler import Sampler
from vllm.v1.worker.gpu.states import RequestState

from acestep_ray.planner.tokens import VOCABULARY
from acestep_ray.planner.vllm.processor import PlanProcessor

DEVICE = torch.device(os.environ.get("ACESTEP_TEST_DEVICE", "cpu"))
PROCESSOR = "acestep_ray.planner.vllm.processor:PlanProcessor"
SLOTS = 8
PROMPT = 9
"""Every prompt's length."""


class Batch(Protocol):
    """What a model runner does with its rows. In a step, rows leave before others enter."""

    processor: PlanProcessor

    def leave(self, name: str) -> None: ...

    def enter(self, name: str, params: SamplingParams, written: list[int]) -> None:
        """``written`` grows with what the row writes."""
        ...

    def step(self, logits: Mapping[str, Tensor], reading: Set[str]) -> dict[str, Tensor]:
        """The logits after the processor; rows in ``reading`` still read their prompts."""
        ...


class V1Batch:
    """Like ``vllm.v1.worker.gpu_input_batch``: rows fill holes, move and swap places."""

    def __init__(self, config: VllmConfig, rng: random.Random) -> None:
        built = build_logitsprocs(config, DEVICE, False, False, [PROCESSOR])
        # One of those that run for greedy rows, too.
        (self.processor,) = (p for p in built.non_argmax_invariant if type(p) is PlanProcessor)
        self._rng = rng
        self._names: list[str | None] = []
        self._updates = BatchUpdateBuilder()

    def leave(self, name: str) -> None:
        index = self._names.index(name)
        self._names[index] = None
        self._updates.removed_append(index)

    def enter(self, name: str, params: SamplingParams, written: list[int]) -> None:
        index = self._updates.pop_removed()
        if index is None:
            index = len(self._names)
            self._names.append(None)
        self._names[index] = name
        self._updates.added.append((index, params, [0] * PROMPT, written))

    def step(self, logits: Mapping[str, Tensor], reading: Set[str]) -> dict[str, Tensor]:
        self._condense()
        if len(self._names) > 1 and self._rng.random() < 0.3:
            one, other = self._rng.sample(range(len(self._names)), 2)
            self._names[one], self._names[other] = self._names[other], self._names[one]
            self._updates.moved.append((one, other, MoveDirectionality.SWAP))
        self.processor.update_state(self._updates.get_and_reset(len(self._names)))
        names = [name for name in self._names if name is not None]
        left = self.processor.apply(torch.stack([logits[name] for name in names]))
        return dict(zip(names, left, strict=True))

    def _condense(self) -> None:
        while None in self._names:
            last = self._names.pop()
            if last is not None:
                hole = self._names.index(None)
                self._names[hole] = last
                move = (len(self._names), hole, MoveDirectionality.UNIDIRECTIONAL)
                self._updates.moved.append(move)


class V2Batch:
    """Like ``vllm.v1.worker.gpu.model_runner``: rows keep a slot, in a new order in each step."""

    def __init__(self, config: VllmConfig, rng: random.Random) -> None:
        self._states = RequestState(SLOTS, 1024, 256, 0, VOCABULARY, DEVICE)
        built = build_custom_logits_processors(config, self._states, False, [PROCESSOR])
        assert isinstance(built[0], PlanProcessor)
        self.processor = built[0]
        self._sampler = Sampler(
            config,
            SLOTS,
            VOCABULARY,
            DEVICE,
            self._states,
            num_speculative_tokens=0,
            custom_logits_processors=built,
        )
        self._rng = rng
        self._written: dict[str, list[int]] = {}

    def leave(self, name: str) -> None:
        self._states.remove_request(name)
        del self._written[name]

    def enter(self, name: str, params: SamplingParams, written: list[int]) -> None:
        assert params.max_tokens is not None
        self._states.add_request(name, PROMPT, [0] * PROMPT, 0, params.max_tokens)
        self._sampler.add_request(self._states.req_id_to_index[name], params)
        self._written[name] = written

    def step(self, logits: Mapping[str, Tensor], reading: Set[str]) -> dict[str, Tensor]:
        self._sampler.apply_staged_writes()
        names = self._rng.sample(list(self._written), len(self._written))
        slots = np.array([self._states.req_id_to_index[name] for name in names])
        lengths = [PROMPT + len(self._written[n]) - 4 * (n in reading) for n in names]
        on_device = torch.from_numpy(slots).to(DEVICE)
        nothing = torch.zeros(len(names), dtype=torch.int64, device=DEVICE)
        left = self._sampler.apply_sampling_params(
            torch.stack([logits[name] for name in names]),
            expanded_idx_mapping=on_device,
            idx_mapping=on_device,
            idx_mapping_np=slots,
            pos=nothing,
            input_ids=nothing,
            expanded_local_pos=nothing,
            seq_lens_upper_bound_np=np.array(lengths),
        )
        return dict(zip(names, left, strict=True))


@pytest.fixture(params=[V1Batch, V2Batch], ids=["V1", "V2"])
def batch(
    request: pytest.FixtureRequest, vllm_config: VllmConfig, monkeypatch: pytest.MonkeyPatch
) -> Batch:
    """An empty batch of either runner."""
    if DEVICE.type == "cpu":  # vLLM would pin memory, which needs a GPU
        monkeypatch.setattr(buffer_utils, "is_uva_available", lambda: False)
    found: Batch = request.param(vllm_config, random.Random(5))
    return found
