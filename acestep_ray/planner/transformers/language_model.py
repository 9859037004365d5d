"""A 5Hz LM in memory, with everything that all its uses share."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from transformers import Qwen3ForCausalLM

from acestep_ray.planner.constraint import TextVocabulary
from acestep_ray.planner.tokens import LmTokenizer
from acestep_ray.planner.transformers.rows import Rows
from acestep_ray.planner.transformers.static_step import StaticSteps, whole_steps


@dataclass(frozen=True)
class LanguageModel:
    """Only one use at a time, always from the same thread, in torch.inference_mode."""

    name: str
    model: Qwen3ForCausalLM
    tokenizer: LmTokenizer
    context: int
    static: StaticSteps | None

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        return torch.device(self.model.lm_head.weight.device)

    def arrive(self, device: torch.device) -> None:
        """Move the weights to a device, and take the memory that plans need there."""
        self._move(device)
        if self.static is not None:
            self.static.allocate()

    def leave(self) -> None:
        """Move the weights to the host's memory, and give all memory of the device back."""
        if self.static is not None:
            self.static.release()
        self._move(torch.device("cpu"))
        gc.collect()  # a plan that was stopped is still held by its error's traceback
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _move(self, device: torch.device) -> None:
        with torch.inference_mode(mode=False):  # or the weights would become tensors of inference
            self.model.to(device)

    @cached_property
    def vocabulary(self) -> TextVocabulary:
        """The text part of the vocabulary, for grammars; made at first use."""
        return TextVocabulary(self.tokenizer)

    def most_rows(self, columns: int) -> int:
        """How many rows of so many tokens may be written side by side; at least 2.

        Together they take as much memory as two of the whole context, for which a replica has room.
        """
        return max(2 * whole_steps(self.context) // whole_steps(columns), 2)

    def rows(self, prompts: Sequence[Sequence[int]], room: int) -> Rows:
        """Read prompts, to write up to ``room`` tokens after each."""
        return Rows(self.model, prompts, room, self.static)
