"""Appends one token by a fixed sequence of kernels on fixed memory, as a CUDA graph needs it.

One token of a small model takes hundreds of kernels, and launching them from Python takes longer
than running them. A graph launches them all at once. It cannot grow, so it attends to a whole
masked buffer. There are buffers of a few lengths, which share their memory.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from acestep_ray.planner.transformers.key_values import KeyValues, forward

COLUMNS_STEP = 1024
"""The lengths of buffers, in columns, are multiples of this."""


class Recording:
    """What the CUDA graphs of a model share: memory to work in, and the stream that records them.

    cuBLAS keeps memory of its own for every stream that it was called on, 34 MB on an H200: with a
    stream for each of 16 graphs that is half a gigabyte.
    """

    def __init__(self, stream: Any) -> None:
        self.pool: Any = torch.cuda.graph_pool_handle()
        self.stream = stream


class StaticStep:
    """Appends one token, for a fixed number of rows and a fixed length of the buffer."""

    def __init__(
        self,
        model: Qwen3ForCausalLM,
        kv: KeyValues,
        rows: int,
        columns: int,
        recording: Recording | None = None,
    ) -> None:
        """With ``recording``, which other steps may share, it is a CUDA graph. Only one of these
        may run at a time, and its result is read before another one runs."""
        self.kv = kv
        self._model = model
        device = model.lm_head.weight.device
        self._columns = torch.arange(columns, device=device)
        self._column = torch.zeros(1, dtype=torch.int64, device=device)
        self._tokens = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        self._starts = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._hidden = self._run()
        if recording is not None:
            self._record(recording)

    def __call__(self, token: Tensor, starts: Tensor, column: int) -> Tensor:
        """Append a token, [1] for all rows or [R, 1], at ``column`` to rows that begin at
        ``starts`` [R, 1]. Returns the hidden state [R, hidden size], which the next call
        overwrites."""
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

    def _record(self, recording: Recording) -> None:
        # Libraries initialise themselves in their first calls, which a graph must not record.
        side = recording.stream
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._run()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            self._graph, pool=recording.pool, stream=side, capture_error_mode="thread_local"
        ):
            self._hidden = self._run()


class StaticSteps:
    """Every StaticStep of a model; each is made when it is first needed.

    Their memory is allocated at once: what else runs on the GPU could take it before the first
    plan. It suffices for two rows as long as the context, and so for more rows of shorter songs.
    """

    def __init__(self, model: Qwen3ForCausalLM, context: int) -> None:
        self._model = model
        self._longest = whole_steps(context)
        self._steps: dict[tuple[int, int], StaticStep] = {}
        self._memory: KeyValues | None = None
        self._recording: Recording | None = None
        self._stream: Any = None
        self.allocate()

    def allocate(self) -> None:
        """Take the memory, on the model's device."""
        self._memory = KeyValues.allocate(self._model, 2, self._longest)
        if self._model.lm_head.weight.is_cuda:
            self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._recording = Recording(self._stream)

    def release(self) -> None:
        """Give the memory back. The graphs end with it: they know the places of weights, too."""
        self._steps.clear()
        self._memory = self._recording = None

    def step(self, rows: int, columns: int) -> StaticStep:
        """The step for so many rows of at least ``columns`` columns. Raises ValueError if they are
        more than fit into the memory."""
        columns = whole_steps(columns)
        if columns > self._longest:
            raise ValueError(f"{columns} columns are more than the context of {self._longest}")
        if rows * columns > 2 * self._longest:
            raise ValueError(f"{rows} rows of {columns} columns are more than 2 of {self._longest}")
        if (rows, columns) not in self._steps:
            assert self._memory is not None, "the model is not on its device"
            kv = self._memory.part(rows, columns)
            self._steps[rows, columns] = StaticStep(self._model, kv, rows, columns, self._recording)
        return self._steps[rows, columns]


def whole_steps(columns: int) -> int:
    """The columns of the buffer that has at least so many."""
    return -(-columns // COLUMNS_STEP) * COLUMNS_STEP
