"""A service on several machines wants its data where all of them reach it."""

from acestep_ray.settings import Settings


def bound_to_one_node(settings: Settings, nodes: int) -> str | None:
    """Why the service must not run on ``nodes`` Ray nodes, in one sentence; None when it may."""
    if nodes <= 1:
        return None
    if settings.store_url.startswith("sqlite:"):
        return (
            f"This Ray cluster has {nodes} nodes, and a SQLite job store is a file of one of them;"
            " set ACESTEP_STORE=redis://HOST:PORT/DB."
        )
    if settings.artifacts_url.startswith("file:") and not settings.artifacts_shared:
        return (
            f"This Ray cluster has {nodes} nodes, and the audio in {settings.artifacts_url} is in a"
            " folder of one of them; set ACESTEP_ARTIFACTS to an s3://, gs:// or az:// URL, or"
            " ACESTEP_ARTIFACTS_SHARED=true where every node has the same folder there."
        )
    return None
