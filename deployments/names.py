"""Names that processes find each other by, in one place."""

APP = "acestep"
NAMESPACE = "acestep"

INGRESS = "Ingress"
RUNNER = "Runner"
DECODER = "Decoder"

STORE_PROTOCOL = 3
"""Raise it when the job store actor's calls or its schema change: an actor of a lower number is
then replaced by the first client of the higher one, never the other way."""

STORE_ACTOR_PREFIX = "job_store_v"


def store_actor_name(protocol: int = STORE_PROTOCOL) -> str:
    """Name of the job store actor of a protocol version."""
    return f"{STORE_ACTOR_PREFIX}{protocol}"
