"""Whatever a client or a bug writes into an order, only that request fails."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from vllm import SamplingParams
from vllm.sampling_params import StructuredOutputsParams

from acestep_ray.planner.protocol import PlanRequest
from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.tokens import VOCABULARY
from acestep_ray.planner.vllm.params import check_params, sampling_params
from acestep_ray.planner.vllm.processor import PlanProcessor
from acestep_ray.planner.vllm.row_order import KEY, RowOrder

GUIDED = RowOrder(
    Phase.CODES, Sampling(7, 0.85, 50, 0.9, cfg_scale=2.5, repetition_penalty=1.2), 50, (5, 6, 7)
)
UNGUIDED = RowOrder(Phase.CODES, Sampling(temperature=0.0), 3000)
METADATA = RowOrder(Phase.METADATA, Sampling(seed=2**32 - 1, top_p=0.0), 632)
LYRICS = RowOrder(Phase.LYRICS, Sampling(seed=1, temperature=2.0, top_k=1), 2048)
GRAMMAR = StructuredOutputsParams(regex="x")


def altered(fields: Mapping[str, Any], order: RowOrder = GUIDED) -> dict[str, Any]:
    return {KEY: order.to_extra_args()[KEY] | fields}


@pytest.mark.parametrize("order", [GUIDED, UNGUIDED, METADATA, LYRICS])
def test_an_order_survives_its_journey(order: RowOrder) -> None:
    assert RowOrder.from_extra_args(order.to_extra_args()) == order
    params = sampling_params(order, GRAMMAR if order is METADATA else None)
    assert check_params(params) == order
    PlanProcessor.validate_params(params)


def test_every_request_that_the_api_lets_through_makes_an_order() -> None:
    for fields in (
        {"temperature": 2, "cfg_scale": 20, "top_k": 2**31 - 1, "repetition_penalty": 2},
        {"temperature": 0, "cfg_scale": 0.5, "top_k": 0, "top_p": 0, "repetition_penalty": 1e-9},
        {"seed": 2**32 - 1, "top_p": 7.5},
    ):
        request = PlanRequest(job_id="j", attempt=1, caption="", lyrics="", **fields)
        for phase in Phase:
            sampling = Sampling.of(request, phase)
            RowOrder(phase, sampling, 50, (1,) if sampling.guided else ())


HOSTILE_NUMBERS: tuple[Any, ...] = (
    True,
    None,
    "1",
    math.nan,
    math.inf,
    -math.inf,
    -1,
    10**400,
    1e400,
    [],
    {},
    b"1",
)
HOSTILE = {
    "phase": (*HOSTILE_NUMBERS, "", "poem", "CODES"),
    "count": (*HOSTILE_NUMBERS, 0, 1.0, 3001, 2**63),
    "seed": (*HOSTILE_NUMBERS, 1.5, 2**32),
    "temperature": (*HOSTILE_NUMBERS, 2.1),
    "top_k": (*(value for value in HOSTILE_NUMBERS if value is not None), 0, 2.0, 2**31),
    "top_p": (*(value for value in HOSTILE_NUMBERS if value is not None), 1.1),
    "cfg_scale": (*HOSTILE_NUMBERS, 0.9, 20.5),
    "repetition_penalty": (*HOSTILE_NUMBERS, 0, 2.1),
    "uncond": (
        *HOSTILE_NUMBERS,
        *([value] for value in HOSTILE_NUMBERS),
        "12",
        {1, 2},
        [1.0],
        [VOCABULARY],
        [0] * 40_961,
        [[1]],
    ),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in HOSTILE.items() for value in values]
)
def test_a_hostile_value_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        RowOrder.from_extra_args(altered({name: value}))


@pytest.mark.parametrize("name", GUIDED.to_extra_args()[KEY])
def test_a_missing_value_is_refused_by_its_name(name: str) -> None:
    order = GUIDED.to_extra_args()[KEY]
    del order[name]
    with pytest.raises(ValueError, match=f"see {name}"):
        RowOrder.from_extra_args({KEY: order})


def test_an_unknown_value_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"see zeal\."):
        RowOrder.from_extra_args(altered({"zeal": 1}))
    with pytest.raises(ValueError, match=r"see 3\."):
        RowOrder.from_extra_args({KEY: {**GUIDED.to_extra_args()[KEY], 3: 1}})


@pytest.mark.parametrize("extra", [None, {}, [], "acestep", {KEY: None}, {KEY: []}, {"other": {}}])
def test_no_order_is_refused(extra: object) -> None:
    with pytest.raises(ValueError, match="'acestep'"):
        RowOrder.from_extra_args(extra)


@pytest.mark.parametrize(
    ("order", "fields"),
    [
        (GUIDED, {"uncond": []}),
        (GUIDED, {"cfg_scale": 1}),
        (UNGUIDED, {"uncond": [1]}),
        (METADATA, {"cfg_scale": 2.0, "uncond": [1]}),
        (METADATA, {"repetition_penalty": 1.1}),
        (METADATA, {"count": 641}),
        (LYRICS, {"cfg_scale": 2.0, "uncond": [1]}),
        (LYRICS, {"count": 2049}),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    order: RowOrder, fields: Mapping[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"cfg_scale|count"):
        RowOrder.from_extra_args(altered(fields, order))


def test_an_order_is_sound_however_it_was_made() -> None:
    with pytest.raises(ValueError, match="sampling"):
        RowOrder(Phase.CODES, None, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="phase"):
        RowOrder("lyrics", Sampling(), 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="temperature"):
        RowOrder(Phase.CODES, Sampling(temperature=math.nan), 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.7),
        ("n", 2),
        ("seed", 3),
        ("top_k", 5),
        ("top_p", 0.9),
        ("min_p", 0.1),
        ("presence_penalty", 1.0),
        ("frequency_penalty", 1.0),
        ("repetition_penalty", 1.1),
        ("logprobs", 1),
        ("prompt_logprobs", 1),
        ("min_tokens", 1),
        ("max_tokens", 51),
        ("max_tokens", None),
        ("stop", ["x"]),
        ("stop_token_ids", [1]),
        ("bad_words", ["x"]),
        ("allowed_token_ids", list(range(1025))),
        ("logit_bias", {1: 1.0}),
        ("thinking_token_budget", 5),
        ("trace_decode_token_ids", [1]),
        ("ignore_eos", True),
        ("skip_clone", True),
        ("detokenize", True),
    ],
)
def test_vllm_samples_nothing_itself(name: str, value: object) -> None:
    params = sampling_params(GUIDED)
    setattr(params, name, value)
    with pytest.raises(ValueError, match=f"^{name} must be "):
        PlanProcessor.validate_params(params)


def test_a_grammar_is_for_metadata_and_only_there() -> None:
    for params in (
        sampling_params(METADATA),
        sampling_params(GUIDED, GRAMMAR),
        sampling_params(LYRICS, GRAMMAR),
    ):
        with pytest.raises(ValueError, match="structured_outputs"):
            PlanProcessor.validate_params(params)


def test_extra_args_hold_an_order_and_nothing_else() -> None:
    """Otherwise a client could choose which rows are a pair, or use vLLM's own extras."""
    for name in ("acestep_pair", "kv_transfer_params"):
        params = sampling_params(GUIDED)
        params.extra_args = {**GUIDED.to_extra_args(), name: "x"}
        with pytest.raises(ValueError, match="nothing but 'acestep'"):
            PlanProcessor.validate_params(params)
    with pytest.raises(ValueError, match="'acestep'"):
        PlanProcessor.validate_params(SamplingParams(temperature=0.0))
