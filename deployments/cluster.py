"""Which Ray cluster this is."""

from typing import Any

import ray._private.worker


def cluster_id() -> str:
    """The id that Ray gave this cluster: the same in all its processes, another in each other one.

    A head that restarts with its state (GCS fault tolerance) keeps it; there is no public call.
    """
    worker: Any = ray._private.worker.global_worker
    return str(worker.gcs_client.cluster_id.hex())
