"""Which replicas fit onto the GPUs of a cluster at the same time."""

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_ray.errors import GpuMemoryError
from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from acestep_ray.settings.scaling import Stage

_ROUNDING = 1e-6


@dataclass(frozen=True)
class GpuRequest:
    """``replicas`` of a deployment, each with ``num_gpus`` GPUs, or with a part of one GPU."""

    deployment: str
    num_gpus: float
    replicas: int


def free_after(requests: Sequence[GpuRequest], nodes: Sequence[int]) -> list[list[float]]:
    """The free part (0 to 1) of each GPU of each node, after all requests are placed.

    ``nodes``: number of GPUs of each node. As with Ray, a part of a GPU is on one GPU, and several
    GPUs are on one node. Raises GpuMemoryError if they do not fit.
    """
    free = [[1.0] * gpus for gpus in nodes]
    # Large requests first: small ones would leave no whole GPU for them.
    each = [
        request for request in requests for _ in range(request.replicas) if request.num_gpus > 0
    ]
    for request in sorted(each, key=lambda request: -request.num_gpus):
        if not _place(request.num_gpus, free):
            raise GpuMemoryError(_message(requests, nodes))
    return free


def room_for(num_gpus: float, requests: Sequence[GpuRequest], nodes: Sequence[int]) -> int:
    """How many more replicas with ``num_gpus`` fit in addition to all requests.

    Raises GpuMemoryError if the requests alone do not fit.
    """
    free = free_after(requests, nodes)
    count = 0
    while num_gpus > 0 and _place(num_gpus, free):
        count += 1
    return count


def _place(num_gpus: float, free: list[list[float]]) -> bool:
    """Take the first node or GPU with enough room; whole GPUs must be unused. False: none has."""
    count, part = (1, num_gpus) if num_gpus < 1 else (round(num_gpus), 1.0)
    for gpus in free:
        fitting = [n for n, left in enumerate(gpus) if left >= part - _ROUNDING]
        if len(fitting) >= count:
            for n in fitting[:count]:
                gpus[n] -= part
            return True
    return False


def _message(requests: Sequence[GpuRequest], nodes: Sequence[int]) -> str:
    requested = [request for request in requests if request.num_gpus > 0 and request.replicas]
    parts = " + ".join(
        f"{request.replicas} {request.deployment} of num_gpus {request.num_gpus:g}"
        for request in requested
    )
    total = sum(request.num_gpus * request.replicas for request in requested)
    gpus = sum(nodes)
    where = f" on {len(nodes)} nodes" if len(nodes) > 1 else ""
    return (
        f"{parts} = {total:g} GPUs do not fit onto {gpus} GPU{'' if gpus == 1 else 's'}{where} "
        "(a part is on one GPU, several GPUs are on one node): lower num_gpus or the replicas, or "
        "set scaling.elastic if GPUs are added on demand."
    )


def most_replicas(settings: Settings, nodes: Sequence[int] | None) -> dict[str, int]:
    """The most replicas of each deployment. ``nodes``: number of GPUs of each node; None: unknown.

    Raises GpuMemoryError if the fewest replicas of all deployments do not fit at the same time, or
    the most replicas of one with the fewest of the others.
    """
    planners = {spec.name: spec.pair for spec in planners_of(settings)}
    decoders = {spec.name: spec.stage for spec in decoders_of(settings)}
    stages: dict[str, Stage] = {**planners, **decoders}
    most = {
        name: stage.max_replicas or max(1, stage.min_replicas) for name, stage in stages.items()
    }
    if nodes is None or settings.scaling.elastic:
        return most
    fewest = [
        _least(name, stage, may_be_idle=len(kind) > 1)
        for kind in (planners, decoders)
        for name, stage in kind.items()
    ]
    free_after(fewest, nodes)
    for name, stage in stages.items():
        if not stage.num_gpus:
            continue
        others = [request for request in fewest if request.deployment != name]
        if stage.max_replicas == 0:
            most[name] = room_for(stage.num_gpus, others, nodes)
        else:
            free_after([GpuRequest(name, stage.num_gpus, stage.max_replicas), *others], nodes)
    return most


def _least(name: str, stage: Stage, *, may_be_idle: bool) -> GpuRequest:
    """The fewest replicas while there is work. Of several planners, or decoders, one that may be
    idle may give its GPU to another."""
    fewest = stage.min_replicas if may_be_idle else max(1, stage.min_replicas)
    return GpuRequest(name, stage.num_gpus or 0.0, fewest)
