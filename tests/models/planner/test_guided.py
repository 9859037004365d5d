"""Codes are those of a plain transformers loop, token for token."""

from pathlib import Path

import pytest
import torch
from transformers import DynamicCache, Qwen3ForCausalLM

from acestep_ray.planner.context import codes_prompt_ids
from acestep_ray.planner.grammar import Given
from acestep_ray.planner.prepared_request import prepare_request
from acestep_ray.planner.protocol import Plan, PlanRequest
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.planning import Planning

REQUESTS = {
    "a long caption": {"caption": "a sad song about rain, " * 12, "lyrics": "la la la"},
    "a long negative prompt": {"caption": "x", "negative_prompt": "noise and hiss, " * 40},
    "Chinese": {"caption": "抒情流行", "lyrics": "月光洒在窗前", "vocal_language": "zh"},
}


@pytest.fixture(scope="module")
def plain(folder: Path) -> Qwen3ForCausalLM:
    """The same weights as transformers itself loads and runs them."""
    return Qwen3ForCausalLM.from_pretrained(folder, attn_implementation="eager")


@torch.inference_mode()
def two_row_loop(
    model: Qwen3ForCausalLM,
    cond: list[int],
    uncond: list[int],
    *,
    scale: float,
    penalty: float,
    count: int,
) -> list[int]:
    """The textbook way: pad on the left, mask the padding, guide, penalise, mask what is no code,
    argmax."""
    longest = max(len(cond), len(uncond))
    rows = [[151_643] * (longest - len(row)) + row for row in (cond, uncond)]
    ids = torch.tensor(rows)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in (cond, uncond)])
    cache = DynamicCache(config=model.config)
    codes: list[int] = []
    while True:
        positions = (mask.cumsum(-1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        found = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        last = found.logits[:, -1].float()
        guided = last[1] + scale * (last[0] - last[1])
        for code in set(codes):
            score = guided[151_669 + code]
            guided[151_669 + code] = score / penalty if score > 0 else score * penalty
        legal = torch.full_like(guided, -torch.inf)
        legal[151_669 : 151_669 + 64_000] = 0
        token = int((guided + legal).argmax())
        codes.append(token - 151_669)
        if len(codes) == count:
            return codes
        ids = torch.tensor([[token], [token]])
        mask = torch.cat([mask, torch.ones(2, 1, dtype=mask.dtype)], dim=1)


def plan(planning: Planning, **fields: object) -> Plan:
    base: dict[str, object] = {
        "job_id": "j",
        "attempt": 1,
        "caption": "",
        "lyrics": "",
        "bpm": 90,
        "key_scale": "C major",
        "time_signature": "4",
        "duration": 16,
        "temperature": 0.0,
    }
    return planning.plan(PlanRequest.model_validate(base | fields), lambda *_: None)


@pytest.mark.parametrize(("scale", "penalty"), [(1.5, 1.0), (3.0, 1.3), (8.0, 1.0), (1.2, 1.8)])
@pytest.mark.parametrize("name", REQUESTS)
def test_guided_greedy_codes(
    name: str,
    scale: float,
    penalty: float,
    planning: Planning,
    lm: LanguageModel,
    plain: Qwen3ForCausalLM,
) -> None:
    found = plan(planning, **REQUESTS[name], cfg_scale=scale, repetition_penalty=penalty)
    cond, uncond = prompts(lm, REQUESTS[name])
    expected = two_row_loop(plain, cond, uncond, scale=scale, penalty=penalty, count=80)
    assert list(found.codes) == expected
    # Random weights tend to repeat themselves; with a penalty they use all their codes.
    assert len(set(expected)) > (20 if penalty > 1 else 1)


def prompts(lm: LanguageModel, fields: dict[str, str]) -> tuple[list[int], list[int]]:
    base = {"job_id": "j", "attempt": 1, "caption": "", "lyrics": "", "cfg_scale": 2.0}
    request = PlanRequest.model_validate(base | fields)
    language = fields.get("vocal_language", "")
    cot = Given(bpm=90, keyscale="C major", timesignature="4", duration=16, language=language)
    uncond = prepare_request(request, lm.tokenizer, 8192).unconditional_prompt
    assert uncond is not None
    return codes_prompt_ids(lm.tokenizer, request.caption, request.lyrics, cot), uncond


def test_guidance_matters(planning: Planning) -> None:
    """Otherwise the test above could not fail."""
    codes = {
        scale: plan(planning, **REQUESTS["Chinese"], cfg_scale=scale).codes
        for scale in (1.0, 1.5, 3.0)
    }
    assert len(set(codes.values())) == 3


def test_unguided_greedy_codes_are_generates(
    planning: Planning, lm: LanguageModel, plain: Qwen3ForCausalLM
) -> None:
    cond, _ = prompts(lm, REQUESTS["Chinese"])
    found = plain.generate(
        torch.tensor([cond]),
        attention_mask=torch.ones(1, len(cond), dtype=torch.int64),
        max_new_tokens=80,
        do_sample=False,
        pad_token_id=151_643,
        prefix_allowed_tokens_fn=lambda *_: list(range(151_669, 215_669)),
    )
    expected = [token - 151_669 for token in found[0, len(cond) :].tolist()]
    assert list(plan(planning, **REQUESTS["Chinese"]).codes) == expected


def test_repetition_is_penalised_over_the_codes(planning: Planning) -> None:
    loose = plan(planning, **REQUESTS["a long caption"]).codes
    strict = plan(planning, **REQUESTS["a long caption"], repetition_penalty=2.0).codes
    assert len(set(loose)) < 80
    assert len(set(strict)) > len(set(loose))
