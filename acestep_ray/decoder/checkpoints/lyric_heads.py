"""Which heads of a model's cross-attention follow the singing."""

from collections.abc import Mapping
from typing import Any

_OF_2B = {2: (6,), 3: (10, 11), 4: (3,), 5: (8, 9), 6: (8,)}
"""Those of the published models with 24 layers and 16 heads, as upstream lists them."""


def lyric_heads(
    config: Mapping[str, Any], traits: Mapping[str, Any]
) -> dict[int, tuple[int, ...]] | None:
    """The heads by layer: those that the checkpoint names, else those of the 2B models, else None.

    ``config``: of the transformer; ``traits``: ``lyric_alignment_layers_config`` may be in it. What
    that has is used only if the model has all these layers and heads: other heads would give times
    that mean nothing.
    """
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    named = traits.get("lyric_alignment_layers_config")
    if named is None:
        return dict(_OF_2B) if (layers, heads) == (24, 16) else None
    try:
        found = {int(layer): tuple(map(int, its)) for layer, its in dict(named).items() if its}
    except (TypeError, ValueError):
        return None
    known = all(
        0 <= layer < layers and all(0 <= head < heads for head in its)
        for layer, its in found.items()
    )
    return found if found and known else None
