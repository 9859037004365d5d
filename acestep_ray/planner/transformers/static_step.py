"""Appending one token as a fixed sequence of kernels over fixed memory: what a CUDA graph holds.

A small model's token is hundreds of kernels that take less time than their launches from Python do.
A graph launches them all at once. It cannot grow, so it attends to a whole buffer, masked; buffers
come in a few lengths, and share their memory.
"""

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from acestep_ray.planner.transformers.key_values import KeyValues, forward

COLUMNS_STEP = 1024
"""Lengths of buffers are multiples of it."""


class StaticStep:
    """One token more, for rows of one number and a buffer of one length."""

    def __init__(self, model: Qwen3ForCausalLM, kv: KeyValues, rows: int, columns: int) -> None:
        self.kv = kv
        self._model = model
        device = model.lm_head.weight.device
        self._columns = torch.arange(columns, device=device)
        self._column = torch.zeros(1, dtype=torch.int64, device=device)
        self._tokens = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        self._starts = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._hidden = self._run()
        if device.type == "cuda":
            self._capture()

    def __call__(self, token: Tensor, starts: Tensor, column: int) -> Tensor:
        """Append a token [1] at ``column`` to rows that begin at ``starts`` [R, 1]; the hidden
        state [R, hidden size], good until the next call."""
        self._tokens.copy_(token.expand_as(self._tokens))
        self._starts.copy_(starts)
        self._column.fill_(column)
        if self._graph is None:
            return self._run()
        self._graph.replay()
        return self._hidden

    def _run(self) -> Tensor:
        visible = (self._columns >= self._starts) & (self._columns <= self._column)
        self.kv.static_column = self._column
        hidden = forward(
            self._model, self._tokens, self._column - self._starts, visible[:, None, None], self.kv
        )
        self.kv.static_column = None
        return hidden

    def _capture(self) -> None:
        # Libraries set themselves up in first calls, which a graph must not record.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._run()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._hidden = self._run()


class StaticSteps:
    """Every StaticStep of a model, made where first needed."""

    def __init__(self, model: Qwen3ForCausalLM, context: int) -> None:
        self._model = model
        self._longest = -(-context // COLUMNS_STEP) * COLUMNS_STEP
        self._memory: KeyValues | None = None
        self._steps: dict[tuple[int, int], StaticStep] = {}

    def step(self, rows: int, columns: int) -> StaticStep:
        """For one row or two, and at least so many columns, at most the context."""
        columns = -(-columns // COLUMNS_STEP) * COLUMNS_STEP
        if columns > self._longest:
            raise ValueError(f"{columns} columns are more than the context of {self._longest}")
        if self._memory is None:
            self._memory = KeyValues.allocate(self._model, 2, self._longest)
        if (rows, columns) not in self._steps:
            kv = self._memory.part(rows, columns)
            self._steps[rows, columns] = StaticStep(self._model, kv, rows, columns)
        return self._steps[rows, columns]
