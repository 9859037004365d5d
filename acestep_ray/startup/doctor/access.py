"""Who can reach the service: its API key, and the addresses that it listens on."""

import os
import re
from collections.abc import Iterator

from acestep_ray.settings import Settings
from acestep_ray.startup.checks import public_without_key
from acestep_ray.startup.doctor.result import Result, ok, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.refusals import refuse_public_without_key

HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"
SHORTEST_KEY = 16
"""Characters. A key may be guessed as fast as the service answers."""


def check_access(setup: Setup) -> Iterator[Result]:
    """See Check."""
    config, settings = setup.checked, setup.settings
    refused = list(refusal(lambda: refuse_public_without_key(config)))
    yield from refused
    closed = settings.model_copy(update={"allow_public": False})
    public = public_without_key(config.host, closed.model_copy(update={"api_key": None}))
    if settings.api_key is None:
        if public and not refused:
            yield warning(
                f"everybody who reaches {config.host} may use the service (ACESTEP_ALLOW_PUBLIC): "
                "set ACESTEP_API_KEY if that is not what you want."
            )
        if os.environ.get(HAPROXY) == "1" and not public:
            yield warning(
                f"{HAPROXY}=1 lets other machines reach the service whatever http_options.host is: "
                "set ACESTEP_API_KEY, or unset it."
            )
        if "*" in settings.cors_origins:
            yield warning(
                "every web page that you open may use the service (ACESTEP_CORS_ORIGINS=* without "
                "a key): set ACESTEP_API_KEY, or name the pages."
            )
    elif public and len(settings.api_key.get_secret_value()) < SHORTEST_KEY:
        yield warning(
            f"the API key has less than {SHORTEST_KEY} characters and can be guessed: take the "
            "output of `openssl rand -hex 32`."
        )
    yield from _key_and_url(settings)
    if not refused:
        key = "no API key" if settings.api_key is None else "an API key"
        reach = "other machines can reach it" if public else "only this machine can reach it"
        yield ok(f"the service listens on {config.host}, with {key}; {reach}")


def _key_and_url(settings: Settings) -> Iterator[Result]:
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if key != key.strip() or not key.isprintable():
        yield warning(
            "the API key begins or ends with a space or a line end, which no client can send: "
            "store it without (printf, not echo)."
        )
    url = settings.public_url
    if url and not re.match(r"https?://[^/]", url):
        yield warning(
            f"ACESTEP_PUBLIC_URL={url} is no address of the form https://music.example.org, so "
            "that clients get wrong addresses of audio: correct it."
        )
