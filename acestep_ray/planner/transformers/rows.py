"""Several prompts in one batch; equally many tokens are appended to all of them.

Every prompt is read by itself, without padding, and the keys and values of all rows end in the same
column. So an appended token is in one column for all rows, at each row's own position. The columns
to the left of a shorter row are masked. A prompt that several rows have is read once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers import Qwen3ForCausalLM

from acestep_ray.planner.tokens import FIRST_CODE
from acestep_ray.planner.transformers.key_values import KeyValues, forward
from acestep_ray.planner.transformers.static_step import StaticSteps

# For more text tokens than this, copying their weights takes longer than computing all logits.
_GATHERED = 4096


class Rows:
    """A batch that is being written. With ``static`` steps, only one batch at a time."""

    def __init__(
        self,
        model: Qwen3ForCausalLM,
        prompts: Sequence[Sequence[int]],
        room: int,
        static: StaticSteps | None = None,
    ) -> None:
        """Read the prompts, none of which is empty; up to ``room`` tokens can be appended."""
        self._model = model
        self.device = model.lm_head.weight.device
        lengths = [len(prompt) for prompt in prompts]
        self._end = max(lengths)
        columns = self._end + room
        self._static = static.step(len(prompts), columns) if static else None
        self._kv = (
            self._static.kv if self._static else KeyValues.allocate(model, len(prompts), columns)
        )
        starts = [self._end - length for length in lengths]
        self._starts = torch.tensor(starts, device=self.device).unsqueeze(1)
        self._columns = torch.arange(columns, device=self.device)
        self._ragged = any(starts)
        self._hidden = self._read_all([tuple(prompt) for prompt in prompts])

    def logits(self, tokens: slice | Tensor) -> Tensor:
        """Logits of the next token, only for these tokens, [R, tokens]. Many tokens in a tensor
        must be text tokens."""
        weight = self._model.lm_head.weight
        if isinstance(tokens, Tensor) and len(tokens) > _GATHERED:
            return linear(self._hidden, weight[:FIRST_CODE])[:, tokens]
        return linear(self._hidden, weight[tokens])

    def append(self, tokens: Tensor) -> None:
        """Append tokens, int64 on the model's device: the same [n] to every row, or [R, n]."""
        count = tokens.shape[-1]
        end = self._end + count
        if count == 1 and self._static:
            self._hidden = self._static(tokens, self._starts, self._end)
        else:
            # One token needs no mask unless a row is shorter: it comes after all others.
            mask = None
            columns = self._columns[self._end : end]
            if count > 1 or self._ragged:
                seen = self._columns[:end]
                visible = (seen >= self._starts).unsqueeze(1) & (seen <= columns.unsqueeze(1))
                mask = visible.unsqueeze(1)
            self._kv.row, self._kv.column = None, self._end
            ids = tokens.expand(len(self._starts), -1)
            self._hidden = forward(self._model, ids, columns - self._starts, mask, self._kv)
        self._end = end

    def _read_all(self, prompts: list[tuple[int, ...]]) -> Tensor:
        """The hidden state after each prompt, [R, hidden size]."""
        first: dict[tuple[int, ...], int] = {}
        found: list[Tensor] = []
        for row, prompt in enumerate(prompts):
            if (source := first.setdefault(prompt, row)) == row:
                found.append(self._read(row, prompt))
            else:
                self._kv.copy_row(source, row, slice(self._end - len(prompt), self._end))
                found.append(found[source])
        return torch.cat(found)

    def _read(self, row: int, prompt: Sequence[int]) -> Tensor:
        self._kv.row, self._kv.column = row, self._end - len(prompt)
        ids = torch.tensor([prompt], device=self.device)
        return forward(self._model, ids, self._columns[: len(prompt)].unsqueeze(0), None, self._kv)
