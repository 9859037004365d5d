"""Where traces are sent, if they are."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from acestep_ray.startup.doctor.result import Result, ok, warning
from acestep_ray.startup.doctor.setup import Setup

CONNECT_SECONDS = 5.0


def check_traces(setup: Setup) -> Iterator[Result]:
    """See Check."""
    endpoint = setup.settings.tracing.endpoint
    if not endpoint:
        yield ok("none are sent")
        return
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        yield warning(
            f"the collector at {host}:{port} cannot be reached ({error.strerror or 'no answer'}), "
            "so that traces are lost: start it, or correct or unset ACESTEP_TRACING__ENDPOINT."
        )
        return
    yield ok(f"they are sent to {host}:{port}, which can be reached")
