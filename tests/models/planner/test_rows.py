"""Rows that are written side by side get the same result as each row alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from acestep_ray.planner.tokens import VOCABULARY
from acestep_ray.planner.transformers.key_values import KeyValues
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.rows import Rows
from acestep_ray.planner.transformers.static_step import (
    COLUMNS_STEP,
    Recording,
    StaticStep,
    StaticSteps,
)

LONG = list(range(1000, 1037))
SHORT = [5, 6, 7]
CHUNKS = ([151_669], [3, 4, 5], [151_670], [151_671, 2], [9], [10])


@pytest.fixture(scope="module")
def plain(lm: LanguageModel, folder: str) -> Qwen3ForCausalLM:
    """The same weights as transformers itself loads and runs them."""
    return Qwen3ForCausalLM.from_pretrained(folder, attn_implementation="eager")


@pytest.fixture(scope="module")
def steps(lm: LanguageModel) -> StaticSteps:
    with torch.inference_mode():
        return StaticSteps(lm.model, 2 * COLUMNS_STEP)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize(
    "prompts", [[LONG], [LONG, SHORT], [SHORT, LONG], [LONG, LONG], [[7]], [[7], SHORT]]
)
@torch.inference_mode()
def test_each_row_is_as_alone(
    prompts: Sequence[list[int]],
    static: bool,
    lm: LanguageModel,
    plain: Qwen3ForCausalLM,
    steps: StaticSteps,
) -> None:
    rows = Rows(lm.model, prompts, 20, steps if static else None)
    alone = [list(prompt) for prompt in prompts]
    for chunk in ([], *CHUNKS):
        if chunk:
            rows.append(torch.tensor(chunk, device=rows.device))
        alone = [row + chunk for row in alone]
        expected = torch.cat([plain(torch.tensor([row])).logits[:, -1] for row in alone])
        found = rows.logits(slice(0, VOCABULARY)).cpu()
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("static", [False, True])
@torch.inference_mode()
def test_rows_of_one_prompt_may_go_on_differently(
    static: bool, lm: LanguageModel, plain: Qwen3ForCausalLM, steps: StaticSteps
) -> None:
    """So are several takes of a guided song written."""
    prompts = [LONG, LONG, SHORT, SHORT]
    rows = Rows(lm.model, prompts, 20, steps if static else None)
    alone = [list(prompt) for prompt in prompts]
    for step in range(6):
        tokens = [[151_669 + 7 * step + row % 2] for row in range(4)]
        rows.append(torch.tensor(tokens, device=rows.device))
        alone = [row + token for row, token in zip(alone, tokens, strict=True)]
        expected = torch.cat([plain(torch.tensor([row])).logits[:, -1] for row in alone])
        found = rows.logits(slice(0, VOCABULARY)).cpu()
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_static_memory_forgets_the_job_before(lm: LanguageModel, steps: StaticSteps) -> None:
    def write(prompts: Sequence[list[int]], static: StaticSteps | None) -> list[Tensor]:
        rows = Rows(lm.model, prompts, 900, static)
        found = []
        for token in range(40):
            rows.append(torch.tensor([token], device=rows.device))
            found.append(rows.logits(slice(0, 500)))
        return found

    write([LONG * 3, SHORT], steps)
    for prompts in ([SHORT], [SHORT, LONG]):
        for one, other in zip(write(prompts, steps), write(prompts, None), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_logits_of_some_tokens_are_those_of_all(lm: LanguageModel) -> None:
    rows = Rows(lm.model, [LONG, SHORT], 1)
    every = rows.logits(slice(0, VOCABULARY))
    for some in ([0, 3, 151_668], list(range(1, 150_000, 3))):
        tokens = torch.tensor(some, device=rows.device)
        torch.testing.assert_close(rows.logits(tokens), every[:, tokens], atol=1e-4, rtol=0)


def test_static_steps_are_shared_and_bounded(lm: LanguageModel, steps: StaticSteps) -> None:
    with torch.inference_mode():
        one = steps.step(2, 5)
        assert steps.step(2, COLUMNS_STEP) is one
        assert steps.step(1, COLUMNS_STEP) is not one
        assert steps.step(2, COLUMNS_STEP + 1) is not one
        with pytest.raises(ValueError, match="3072 columns are more than the context of 2048"):
            steps.step(2, 2 * COLUMNS_STEP + 1)


@torch.inference_mode()
def test_graphs_are_recorded_on_one_stream(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cuBLAS holds memory for each stream; with a stream per graph the GPU's memory filled up."""
    recorded: list[tuple[Any, Any]] = []
    entered: list[Any] = []

    @contextmanager
    def graph(_: object, *, pool: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        recorded.append((pool, stream))
        yield

    def stream(one: Any) -> Any:
        entered.append(one)
        return nullcontext()

    for name in ("Stream", "CUDAGraph", "current_stream", "graph_pool_handle"):
        monkeypatch.setattr(torch.cuda, name, MagicMock)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    recording = Recording(torch.cuda.Stream())  # type: ignore[no-untyped-call]
    kv = KeyValues.allocate(lm.model, 2, 16)
    for rows in (1, 2):
        StaticStep(lm.model, kv.part(rows, 16), rows, 16, recording)
    assert recorded == [(recording.pool, recording.stream)] * 2
    assert entered == [recording.stream] * 2
