"""An engine's start on the cards that Ray gave its replica, and on no other."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import ray

from acestep_ray.cards.lock import starting_alone
from acestep_ray.cards.memory import Need, check_share

T = TypeVar("T")


def gpu_share() -> float:
    """The part of a card that this replica was given; 1 where it has whole ones, or none."""
    context: Any = ray.get_runtime_context()
    return min(float(context.get_assigned_resources().get("GPU", 1.0)), 1.0)


def cards() -> tuple[str, ...]:
    """The cards of this node that this replica was given, and sees: no others.

    Raises RuntimeError where it sees others, which it would take from their replicas.
    """
    given = tuple(map(str, ray.get_runtime_context().get_accelerator_ids()["GPU"]))
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given and seen != ",".join(given):
        raise RuntimeError(
            f"This replica was given the cards {', '.join(given)} but sees {seen or 'all'}: start "
            "Ray without RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES."
        )
    return given


def start(stage: str, needs: list[Need], make: Callable[[], T]) -> T:
    """Make an engine while no other starts on the same cards. Raises DoesNotFit where its part of a
    card holds less than ``needs``, before anything is loaded."""
    mine = cards()
    with starting_alone(mine):
        if mine and needs:
            check_share(stage, needs, gpu_share(), _card_bytes())
        return make()


def _card_bytes() -> int:
    import torch  # noqa: PLC0415  (real engines alone have it)

    total: int = torch.cuda.mem_get_info()[1]
    return total
