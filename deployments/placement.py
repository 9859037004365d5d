"""Whether the replicas that the settings ask for fit onto the cluster's cards, and how many do."""

from collections.abc import Sequence
from typing import Any

import ray

from acestep_ray.cards.packing import Wish, free_after, room_for
from acestep_ray.planner.pairs import PlannerSpec
from acestep_ray.scaling import Stage
from acestep_ray.setting_error import SettingError
from acestep_ray.settings import Settings
from deployments.names import DECODER


def most_replicas(
    settings: Settings, planners: Sequence[PlannerSpec], nodes: Sequence[int] | None
) -> dict[str, int]:
    """The most replicas of each deployment. ``nodes``: how many cards each node has; None: not
    known.

    Raises DoesNotFit where the fewest of all do not fit beside each other, or the most of one not
    beside the fewest of the others.
    """
    stages: dict[str, Stage] = {spec.name: spec.pair for spec in planners}
    stages[DECODER] = settings.scaling.decoder
    most = {
        name: stage.max_replicas or max(1, stage.min_replicas) for name, stage in stages.items()
    }
    if nodes is None or settings.scaling.elastic:
        return most
    fewest = [_wish(name, stage, len(planners)) for name, stage in stages.items()]
    free_after(fewest, nodes)
    for name, stage in stages.items():
        if not stage.num_gpus:
            continue
        others = [wish for wish in fewest if wish.deployment != name]
        if stage.max_replicas == 0:
            most[name] = room_for(stage.num_gpus, others, nodes)
        else:
            free_after([Wish(name, stage.num_gpus, stage.max_replicas), *others], nodes)
    return most


def cards_of_nodes() -> list[int] | None:
    """How many cards each node of this cluster has; None outside Ray."""
    if not ray.is_initialized():
        return None
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node for node in nodes if node["Alive"]]
    return [int(node["Resources"].get("GPU", 0)) for node in alive]


def refuse_no_place_for_the_store(settings: Settings) -> None:
    """Raise SettingError where the job store actor would wait for a node that does not exist."""
    wanted = settings.store_resource
    if not wanted or settings.scaling.elastic or not ray.is_initialized():
        return
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    if wanted not in resources:
        there = sorted(name for name in resources if ":" not in name)
        raise SettingError(
            f"ACESTEP_STORE_RESOURCE={wanted}: no node of this cluster has that Ray resource; "
            f"there are {', '.join(there)}."
        )


def _wish(name: str, stage: Stage, planners: int) -> Wish:
    """What is there at the least while there is work; of several planners, one that may rest may
    make room for another."""
    may_rest = name != DECODER and planners > 1
    fewest = stage.min_replicas if may_rest else max(1, stage.min_replicas)
    return Wish(name, stage.num_gpus or 0.0, fewest)
