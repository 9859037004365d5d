"""An order as vLLM's own parameters, and the check that a request has these and no others.

vLLM does not sample: the processor chooses, and vLLM greedily takes the token that is left. vLLM's
own seeds, penalties, filters and token lists stay off. Some of them end the engine for all jobs: on
a GPU, 1,025 allowed tokens do; on a CPU, a seed with a prompt that is read in parts does.
"""

from typing import cast

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from acestep_ray.planner.sampling import Phase
from acestep_ray.planner.tokens import STOP_IDS
from acestep_ray.planner.vllm.row_order import KEY, RowOrder

_FREE = {"extra_args", "output_kind", "stream_interval", "structured_outputs"}


def sampling_params(
    order: RowOrder, grammar: StructuredOutputsParams | None = None
) -> SamplingParams:
    """The parameters for ``generate``; ``grammar`` is given for metadata, and only then.

    Codes end only by ``max_tokens``, so there are exactly ``count`` of them and nothing else.
    Lyrics end at any of STOP_IDS; of these, vLLM knows only IM_END itself.
    """
    return SamplingParams(
        temperature=0.0,
        max_tokens=order.count,
        stop_token_ids=sorted(STOP_IDS) if order.phase is Phase.LYRICS else None,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
        structured_outputs=grammar,
        extra_args=order.to_extra_args(),
    )


def check_params(params: SamplingParams) -> RowOrder:
    """The order of a request. Raises ValueError, with one sentence, for parameters that
    sampling_params did not make."""
    order = RowOrder.from_extra_args(params.extra_args)
    if len(cast(dict[str, object], params.extra_args)) > 1:
        raise ValueError(f"extra_args may hold nothing but {KEY!r}.")
    if (params.structured_outputs is None) == (order.phase is Phase.METADATA):
        raise ValueError("structured_outputs must be there for metadata, and only there.")
    expected = sampling_params(order)
    for name in SamplingParams.__struct_fields__:
        if name not in _FREE and getattr(params, name) != getattr(expected, name):
            raise ValueError(f"{name} must be {getattr(expected, name)!r}, as of sampling_params.")
    return order
