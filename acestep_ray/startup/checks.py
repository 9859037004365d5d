"""Reasons not to start: data that some nodes cannot reach, a public port without an API key."""

import ipaddress

from acestep_ray.errors import ConfigurationError
from acestep_ray.settings import Settings


class Refused(ConfigurationError):
    """The service was not started. The message names the cause and the cure in one sentence."""


def bound_to_one_node(settings: Settings, nodes: int) -> str | None:
    """Why the service must not run on ``nodes`` Ray nodes, in one sentence; None if it may."""
    if nodes <= 1:
        return None
    if settings.store_on_one_node:
        return (
            f"This Ray cluster has {nodes} nodes, and a SQLite job store is a file of one of them;"
            " set ACESTEP_STORE=redis://HOST:PORT/DB."
        )
    if settings.artifacts_url.startswith("file:") and not settings.artifacts_shared:
        return (
            f"This Ray cluster has {nodes} nodes, and the audio in {settings.artifacts_url} is in a"
            " folder of one of them; set ACESTEP_ARTIFACTS to an s3://, gs:// or az:// URL, or"
            " ACESTEP_ARTIFACTS_SHARED=true if every node has the same folder there."
        )
    return None


def public_without_key(host: str, settings: Settings) -> str | None:
    """Why the service must not listen on ``host``, in one sentence; None if it may."""
    if is_loopback(host) or settings.api_key is not None or settings.allow_public:
        return None
    return (
        f"{host} is reachable from other machines and no API key is set; set ACESTEP_API_KEY, "
        "or ACESTEP_ALLOW_PUBLIC=true if that is what you want."
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``, a name or an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
