"""How much of a GPU the ``vllm`` planner needs. Knows vLLM's rules, but does not import it."""

from acestep_ray.errors import SettingError
from acestep_ray.settings.presets import cure

USABLE = 0.92
"""Part of a GPU share that vLLM may use: vLLM's default. The driver and fragments need the rest."""


def kv_bytes_a_token(heads: int, head_dim: int, layers: int, number_bytes: int) -> int:
    """Bytes that the keys and values of one token take."""
    return 2 * heads * head_dim * layers * number_bytes


def check_share(
    model: str, *, parameters: int, kv_bytes: int, context: int, share: float, total: int
) -> int:
    """Bytes that vLLM takes with ``share`` of a GPU of ``total`` bytes. ``kv_bytes``: those of one
    token's keys and values.

    Raises SettingError if the share is less than the model and one guided plan need.
    """
    if not 0 < share <= 1:
        raise SettingError(
            f"The planner has num_gpus {share:g}; the vllm engine needs a share of one GPU, above "
            "0 and at most 1."
        )
    weights = 2 * parameters
    pair = 2 * context * kv_bytes
    room = int(total * share * USABLE)
    if weights + pair > room:
        raise SettingError(
            f"A share of {share:g} of a GPU of {_gb(total)} leaves {_gb(room)}, but "
            f"{model} takes {_gb(weights)} and a guided plan of "
            f"ACESTEP_LM__CONTEXT={context} tokens {_gb(pair)}: "
            f"{cure(total, 'lower the context, ')}."
        )
    return room


def check_context(model: str, context: int, longest: int) -> None:
    """Raise SettingError if the model was made for fewer tokens than ``context``."""
    if context > longest:
        raise SettingError(
            f"ACESTEP_LM__CONTEXT={context} is more than the {longest} tokens that "
            f"{model} was made for: lower it."
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
