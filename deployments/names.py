"""Names by which processes find each other."""

APP = "acestep"
NAMESPACE = "acestep"

INGRESS = "Ingress"
RUNNER = "Runner"

STORE_PROTOCOL = 8
"""Raise it if the calls of the job store actor or its schema change. The first client with a higher
number replaces an actor with a lower one. An actor with a higher number is never replaced."""

STORE_ACTOR_PREFIX = "job_store_v"


def store_actor_name(protocol: int = STORE_PROTOCOL) -> str:
    """Name of the job store actor of a protocol version."""
    return f"{STORE_ACTOR_PREFIX}{protocol}"
