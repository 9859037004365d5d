"""Attention for decoding: several query heads share a key head, and no keys are copied."""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "acestep_grouped"


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    **_unused: object,
) -> tuple[Tensor, None]:
    """transformers' attention interface: ``query`` [R, heads, n, D], ``key`` and ``value``
    [R, pairs, columns, D], ``attention_mask`` bool, true where a query may attend; the result is
    [R, n, heads, D]. Without a mask, several queries are causal, and a single one attends to all
    columns.

    With a mask, transformers' own attention copies every key for each head that shares it: all
    keys, in every layer, for every token. Instead, the heads that share a key are treated here as
    several queries of one head.
    """
    rows, heads, count, width = query.shape
    if count == 1:
        grouped = query.view(rows, key.shape[1], heads // key.shape[1], width)
        found = scaled_dot_product_attention(
            grouped, key, value, attn_mask=attention_mask, scale=scaling
        )
        return found.reshape(rows, 1, heads, width), None
    found = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=attention_mask,
        is_causal=attention_mask is None,
        scale=scaling,
        enable_gqa=True,
    )
    return found.transpose(1, 2), None


AttentionInterface.register(NAME, grouped_attention)
