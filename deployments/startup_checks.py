"""Checks of the Ray cluster, the storage and the job store before the service starts.

`acestep-ray serve` checks before it starts Ray. With `serve run` and KubeRay that is not possible,
so the application checks when it is built.
"""

import asyncio
import logging
from typing import Any

import ray
from ray.serve.context import _get_global_client

from acestep_ray.artifacts.check import check_storage
from acestep_ray.artifacts.errors import StorageError, StorageUnusable
from acestep_ray.errors import ConfigurationError, SettingError
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.factory import open_store
from acestep_ray.settings import Settings
from acestep_ray.startup.checks import bound_to_one_node, public_without_key

logger = logging.getLogger(__name__)

CHECK_EVERY = 30.0
"""Seconds between two checks of the nodes of a running service."""
RETRY_AFTER = 2.0
"""Seconds between two checks of unavailable storage."""


def gpus_of_nodes() -> list[int] | None:
    """Number of GPUs of each node of this cluster; None outside Ray."""
    if not ray.is_initialized():
        return None
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node for node in nodes if node["Alive"]]
    return [int(node["Resources"].get("GPU", 0)) for node in alive]


def refuse_missing_store_resource(settings: Settings) -> None:
    """Raise SettingError if no node has the Ray resource that the job store actor needs."""
    wanted = settings.store_resource
    if not wanted or settings.scaling.elastic or not ray.is_initialized():
        return
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    if wanted not in resources:
        present = sorted(name for name in resources if ":" not in name)
        raise SettingError(
            f"ACESTEP_STORE_RESOURCE={wanted}: no node of this cluster has that Ray resource; "
            f"there are {', '.join(present)}."
        )


class SingleNodeStorage(ConfigurationError):
    """The data is on one node of several; the message names the cure."""


def count_nodes() -> int:
    """Number of live nodes of this Ray cluster, with the head, even if nothing may run on it."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(node["Alive"] for node in nodes)


def refuse_data_on_one_node(settings: Settings) -> None:
    """Raise SingleNodeStorage if the cluster has several nodes and ``settings`` are for one.

    Does nothing if no Ray runs yet (a driver that builds the application first).
    """
    if ray.is_initialized() and (why := bound_to_one_node(settings, count_nodes())):
        raise SingleNodeStorage(why)


async def watch_nodes(settings: Settings) -> None:
    """Log an error, repeatedly, if nodes have joined that cannot reach the data. Until cancelled.

    The service is not stopped: perhaps no part of it will ever be placed on these nodes.
    """
    while True:
        try:
            if why := bound_to_one_node(settings, await asyncio.to_thread(count_nodes)):
                logger.error("%s Jobs and audio may be lost.", why)
        except Exception as error:
            logger.warning("Ray does not report how many nodes there are: %s", error)
        await asyncio.sleep(CHECK_EVERY)


class PublicWithoutKey(ConfigurationError):
    """The HTTP proxy is public and there is no API key; the message names the cure."""


def refuse_public_without_key(settings: Settings) -> None:
    """Raise PublicWithoutKey if Serve's proxy is public and ``settings`` have no API key.

    Does nothing if no Serve runs yet (a driver that builds the application first).
    """
    if not ray.is_initialized():
        return
    client = _get_global_client(raise_if_no_controller_running=False)
    host = client and client.http_config.host
    if host and (why := public_without_key(host, settings)):
        raise PublicWithoutKey(why)


async def store_ready(settings: Settings) -> bool:
    """Whether the job store responds. Raises StoreUnsuitable; Serve then shows its message.

    Returns True for a SQLite file: only the job store actor may open it.
    """
    if settings.store_on_one_node:
        return True
    try:
        store = await asyncio.to_thread(open_store, settings)
    except StoreUnavailable as error:
        logger.warning("%s", error)
        return False
    store.close()
    return True


async def storage_ready(settings: Settings) -> bool:
    """Whether the storage responds. Raises StorageUnusable; Serve then shows its message.

    Checked in this process, because each node has an environment of its own.
    """
    try:
        await asyncio.to_thread(
            check_storage, settings.artifacts_url, signing=settings.downloads == "redirect"
        )
    except StorageUnusable:
        raise
    except StorageError as error:
        logger.warning("%s", error)
        return False
    return True


async def until_storage_ready(settings: Settings) -> None:
    """Wait until the storage responds: in a starting cluster, it may be the last part to be ready.

    Raises StorageUnusable.
    """
    ready = await storage_ready(settings)
    while not ready:
        await asyncio.sleep(RETRY_AFTER)
        ready = await storage_ready(settings)
