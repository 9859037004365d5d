"""An order as vLLM's own parameters, and the check that a request has these and no others.

vLLM samples nothing here: the processor chooses, and vLLM takes what is left, greedily. Its own
seeds, penalties, filters and token lists stay off. Some of them end the engine for everybody:
1,025 allowed tokens do on a GPU, a seed with a prompt read in parts does on the CPU.
"""

from typing import cast

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from acestep_ray.planner.sampling import Phase
from acestep_ray.planner.vllm.row_order import KEY, RowOrder

_FREE = {"extra_args", "output_kind", "stream_interval", "structured_outputs"}


def sampling_params(
    order: RowOrder, grammar: StructuredOutputsParams | None = None
) -> SamplingParams:
    """What to call ``generate`` with; ``grammar`` where metadata is written, and only there.

    Codes end by ``max_tokens`` alone, so there are exactly ``count`` of them and nothing else.
    """
    return SamplingParams(
        temperature=0.0,
        max_tokens=order.count,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
        structured_outputs=grammar,
        extra_args=order.to_extra_args(),
    )


def check_params(params: SamplingParams) -> RowOrder:
    """The order of a request. Raises ValueError, in one sentence, for parameters that are not of
    sampling_params."""
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
