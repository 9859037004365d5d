"""Refuses to serve other machines without an API key.

``acestep-ray serve`` looks before it starts Ray. ``serve run`` and KubeRay give us no such moment,
so the application looks when it is built.
"""

import ray
from ray.serve.context import _get_global_client

from acestep_ray.open_door import open_door
from acestep_ray.settings import Settings


class DoorOpen(RuntimeError):
    """The HTTP proxy is public and there is no key; the message says what to do."""


def refuse_open_door(settings: Settings) -> None:
    """Raise DoorOpen when Serve's proxy listens beyond loopback and ``settings`` hold no key.

    Does nothing where no Serve runs yet (a driver that builds the application first).
    """
    if not ray.is_initialized():
        return
    client = _get_global_client(raise_if_no_controller_running=False)
    host = client and client.http_config.host
    if host and (why := open_door(host, settings)):
        raise DoorOpen(why)
