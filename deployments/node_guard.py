"""Refuses to run on several nodes with data that only one of them has."""

import asyncio
import logging
from typing import Any

import ray

from acestep_ray.one_node import bound_to_one_node
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY = 30.0
"""Seconds between two looks at the nodes of a running service."""


class DataOnOneNode(RuntimeError):
    """The cluster has more nodes than the data is on; the message says what to do."""


def count_nodes() -> int:
    """Nodes of this Ray cluster that live; the head is one, also where nothing may run on it."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(node["Alive"] for node in nodes)


def refuse_data_on_one_node(settings: Settings) -> None:
    """Raise DataOnOneNode when the cluster has several nodes and ``settings`` are for one.

    Does nothing where no Ray runs yet (a driver that builds the application first).
    """
    if ray.is_initialized() and (why := bound_to_one_node(settings, count_nodes())):
        raise DataOnOneNode(why)


async def watch_nodes(settings: Settings) -> None:
    """Tell loudly, again and again, when nodes have joined that do not have the data. For ever.

    What runs goes on: it may be that nothing of the service is ever placed there.
    """
    while True:
        if why := bound_to_one_node(settings, await asyncio.to_thread(count_nodes)):
            logger.error("%s Jobs and audio may be lost.", why)
        await asyncio.sleep(LOOK_EVERY)
