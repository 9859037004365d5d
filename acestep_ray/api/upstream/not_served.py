"""Routes of upstream's server that this service does not have yet."""

_ROUTES = ("/v1/reinitialize", "/v1/transcribe")
_GROUPS = ("/v1/dataset", "/v1/training")


def is_not_served(path: str) -> bool:
    """Whether upstream's server has a route of this path, or a group of routes below it."""
    return path.rstrip("/") in (*_ROUTES, *_GROUPS) or path.startswith(
        tuple(f"{group}/" for group in _GROUPS)
    )
