"""What an engine replica does in addition to its work: use its GPUs, and stay registered."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import ray
import ray._private.worker
from ray import serve

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.gpu_locks import gpu_start_lock
from acestep_ray.gpu_turn import GpuTurn
from acestep_ray.jobs.store_loop import repeat
from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.gpu_memory import Need, check_share, in_turns
from acestep_ray.replicas.registry import REGISTER_EVERY, Registration
from acestep_ray.settings import Settings
from deployments.job_store_client import RayJobStoreClient

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ReplicaRegistrar:
    """Keeps this replica registered, with as many slots as it should have jobs at a time.

    ``reserved``: requests that are not jobs. ``wanted``: how many slots it would use; None: one per
    request that Serve gives it at a time.
    """

    def __init__(
        self,
        client: RayJobStoreClient,
        description: PlannerDescription | DecoderDescription,
        reserved: int = 0,
        wanted: Callable[[], int] | None = None,
    ) -> None:
        self._client = client
        self._description = description
        self._reserved = reserved
        self._wanted = wanted
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(repeat(self._register, "The registration of this replica"))

    def slots(self) -> int:
        """How many jobs this replica should have at a time."""
        context = serve.get_replica_context()
        most = max(1, context._deployment_config.max_ongoing_requests - self._reserved)
        return min(most, self._wanted()) if self._wanted else most

    def announce(self) -> None:
        """Register a changed number of slots at once."""
        self._changed.set()

    def _registration(self) -> Registration:
        """The registration, with present values: Serve may change ``max_ongoing_requests`` of a
        running replica."""
        context = serve.get_replica_context()
        return Registration(
            replica=context.replica_id.to_full_id_str(),
            deployment=context.deployment,
            description=self._description,
            slots=self.slots(),
            node=ray.get_runtime_context().get_node_id(),
            gpus=gpus(),
        )

    async def _register(self) -> None:
        """Register, until it is time to do so again or the number of slots changes."""
        self._changed.clear()
        registered = asyncio.create_task(
            self._client.register(self._registration(), REGISTER_EVERY)
        )
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait((registered, changed), return_when=asyncio.FIRST_COMPLETED)
            if registered.done():
                await registered
        finally:
            registered.cancel()
            changed.cancel()
            await asyncio.gather(registered, changed, return_exceptions=True)

    async def leave(self) -> None:
        """Remove this replica from the registry, so that it gets no more jobs."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._client.register(replace(self._registration(), slots=0), 0)


def gpu_share() -> float:
    """The share of a GPU that Ray gave this replica, 0 to 1; 1 if it has whole GPUs, or none."""
    context: Any = ray.get_runtime_context()
    return min(float(context.get_assigned_resources().get("GPU", 1.0)), 1.0)


def gpus() -> tuple[str, ...]:
    """Ids of the GPUs of this node that Ray gave this replica; empty: none.

    Raises RuntimeError if it sees other GPUs: it would use those of other replicas.
    """
    given = tuple(map(str, ray.get_runtime_context().get_accelerator_ids()["GPU"]))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given and visible != ",".join(given):
        raise RuntimeError(
            f"This replica was given the GPUs {', '.join(given)} but sees {visible or 'all'}: "
            "start Ray without RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES."
        )
    return given


def gpus_of_this_node() -> int:
    """How many GPUs this node has, as Ray knows them."""
    own = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(int(node["Resources"].get("GPU", 0)) for node in nodes if node["NodeID"] == own)


def gpu_turn(settings: Settings, device: str) -> GpuTurn | None:
    """How this replica's engine uses its GPUs in turns; None: it is always on its ``device`` (the
    setting), or that is the CPU."""
    scaling = settings.scaling
    if device == "cpu" or not (scaling.gpu_turns or scaling.unload_seconds):
        return None
    return GpuTurn(gpus() if scaling.gpu_turns else (), scaling.unload_seconds)


def start(stage: str, needs: list[Need], make: Callable[[], T], *, whole: bool = False) -> T:
    """Make an engine while no other engine starts on the same GPUs. ``whole``: it may use all of a
    GPU but for the CUDA context of another engine, with which it takes turns.

    Raises GpuMemoryError, before anything is loaded, if its share of a GPU is less than ``needs``.
    """
    own_gpus = gpus()
    with gpu_start_lock(own_gpus):
        if own_gpus and needs:
            share = gpu_share()
            if whole:
                needs, share = in_turns(needs, share), 1.0
            check_share(stage, needs, share, _gpu_bytes())
        return make()


def _gpu_bytes() -> int:
    import torch  # noqa: PLC0415  (only real engines have it)

    total: int = torch.cuda.mem_get_info()[1]
    return total


def cluster_id() -> str:
    """Ray's id of this cluster: the same in all its processes, and different for every cluster.

    A head that restarts with its state (GCS fault tolerance) keeps it. Ray has no public call for
    it.
    """
    worker: Any = ray._private.worker.global_worker
    return str(worker.gcs_client.cluster_id.hex())
