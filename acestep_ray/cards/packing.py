"""Which replicas fit onto the cards at the same time."""

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.cards.does_not_fit import DoesNotFit

_DUST = 1e-6


@dataclass(frozen=True)
class Wish:
    """``replicas`` of a deployment, with ``num_gpus`` cards each, or a part of one."""

    deployment: str
    num_gpus: float
    replicas: int


def free_after(wishes: Sequence[Wish], nodes: Sequence[int]) -> list[list[float]]:
    """The free part of each card of each node, once all wishes are placed; ``nodes`` tells how many
    cards each has. A part lies on one card, several cards on one node, as Ray places them.

    Raises DoesNotFit.
    """
    free = [[1.0] * cards for cards in nodes]
    # The large first: what is left of a card by a small one would keep them out.
    each = [wish for wish in wishes for _ in range(wish.replicas) if wish.num_gpus > 0]
    for wish in sorted(each, key=lambda wish: -wish.num_gpus):
        if not _place(wish.num_gpus, free):
            raise DoesNotFit(_sentence(wishes, nodes))
    return free


def room_for(num_gpus: float, wishes: Sequence[Wish], nodes: Sequence[int]) -> int:
    """How many more replicas with ``num_gpus`` fit beside all wishes. Raises DoesNotFit where these
    do not fit themselves."""
    free = free_after(wishes, nodes)
    count = 0
    while num_gpus > 0 and _place(num_gpus, free):
        count += 1
    return count


def _place(num_gpus: float, free: list[list[float]]) -> bool:
    """Take the first place that holds it; whole cards must be untouched."""
    count, part = (1, num_gpus) if num_gpus < 1 else (round(num_gpus), 1.0)
    for cards in free:
        fitting = [n for n, left in enumerate(cards) if left >= part - _DUST]
        if len(fitting) >= count:
            for n in fitting[:count]:
                cards[n] -= part
            return True
    return False


def _sentence(wishes: Sequence[Wish], nodes: Sequence[int]) -> str:
    asking = [wish for wish in wishes if wish.num_gpus > 0 and wish.replicas]
    parts = " + ".join(
        f"{wish.replicas} {wish.deployment} of num_gpus {wish.num_gpus:g}" for wish in asking
    )
    total = sum(wish.num_gpus * wish.replicas for wish in asking)
    cards = sum(nodes)
    where = f" on {len(nodes)} nodes" if len(nodes) > 1 else ""
    return (
        f"{parts} = {total:g} GPUs do not fit onto {cards} card{'' if cards == 1 else 's'}{where} "
        "(a part lies on one card, several cards on one node): lower num_gpus or the replicas, or "
        "set scaling.elastic where cards are added on demand."
    )
