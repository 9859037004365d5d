"""What an engine takes of a card's memory, and whether its share of the card holds it.

Weights and the LM's keys and values are exact. What the decoder needs while it works was computed
from the full-size modules' own tensors (docs/operations.md tells how), rounded up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acestep_ray.cards.does_not_fit import DoesNotFit
from acestep_ray.presets import SMALLEST, SMALLEST_CARD

CUDA = 600_000_000
"""Bytes of a process's CUDA context with torch's libraries."""
LM_WORK = 300_000_000
"""Bytes of the LM's logits, prompts and CUDA graphs."""
VAE_TILE = 1_400_000_000
"""Bytes that the published VAE takes to decode one tile in 16-bit numbers."""
TOKENS_PER_SECOND = 12.5
"""Of the diffusion transformer: 25 latent frames a second in patches of 2."""


@dataclass(frozen=True)
class Need:
    """A part of the sum, in bytes."""

    what: str
    size: int


def decoder_needs(
    parameters: int, dit: Mapping[str, Any], seconds: float, number_bytes: int = 2
) -> list[Need]:
    """For one take of ``seconds``, guided: with less the engine makes no job at all. ``dit``: the
    transformer's ``config.json``. More takes at a time are tried, and made one by one where the
    memory does not suffice."""
    rows, tokens = 2, seconds * TOKENS_PER_SECOND
    width = int(dit["hidden_size"]) + int(dit["intermediate_size"])
    steps = rows * tokens * width * 3.5 * number_bytes + tokens * tokens * 6.5 * number_bytes
    work = max(int(steps), VAE_TILE * number_bytes // 2)
    return [
        Need("weights", parameters * number_bytes),
        Need(f"one take of {seconds:g} s", work),
        Need("CUDA", CUDA),
    ]


def planner_needs(parameters: int, lm: Mapping[str, Any], context: int) -> list[Need]:
    """For one guided plan as long as the context, in bfloat16. ``lm``: its ``config.json``."""
    pairs = int(lm["num_key_value_heads"]) * int(lm["head_dim"]) * int(lm["num_hidden_layers"])
    rows, keys_and_values, number_bytes = 2, 2, 2
    return [
        Need("weights", parameters * number_bytes),
        Need(f"a context of {context} tokens", rows * context * pairs * keys_and_values * 2),
        Need("logits and graphs", LM_WORK),
        Need("CUDA", CUDA),
    ]


def check_share(stage: str, needs: list[Need], share: float, total: int) -> None:
    """Raise DoesNotFit where ``share`` of a card of ``total`` bytes holds less than the sum."""
    needed, room = sum(need.size for need in needs), int(share * total)
    if needed <= room:
        return
    parts = " + ".join(f"{need.what} {_gb(need.size)}" for need in needs)
    raise DoesNotFit(
        f"The {stage} needs {_gb(needed)} of a card ({parts}), but its num_gpus {share:g} of "
        f"{_gb(total)} is {_gb(room)}: {cure(total)}."
    )


def cure(total: int, first: str = "") -> str:
    """What to do where a share of a card of ``total`` bytes is too small, without a full stop;
    ``first``: what else may help on a card that is large enough."""
    preset = f"the smallest preset, ACESTEP_PRESET={SMALLEST}, is for one of 12 to 16 GB"
    if total < SMALLEST_CARD:
        return (
            f"a card of this size is not served yet ({preset}; docs/operations.md says what to do "
            "with a smaller one)"
        )
    return (
        f"{first}give it a larger share or a larger card, or choose a smaller model or preset "
        f"({preset})"
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
