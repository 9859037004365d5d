"""A service that other machines can reach wants a key."""

import ipaddress

from acestep_ray.settings import Settings


def open_door(host: str, settings: Settings) -> str | None:
    """Why the service must not listen on ``host``, in one sentence; None when it may."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback or settings.api_key is not None or settings.allow_public:
        return None
    return (
        f"{host} is reachable from other machines and no API key is set; set ACESTEP_API_KEY, "
        "or ACESTEP_ALLOW_PUBLIC=true if that is what you want."
    )
