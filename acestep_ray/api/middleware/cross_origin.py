"""CORS: which web pages may call the service from a browser."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from acestep_ray.settings import Settings

LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
EXPOSED = (
    *("Retry-After", "Location", "Content-Range", "Content-Disposition", "ETag"),
    *("Accept-Ranges", "Content-Length", "Idempotency-Replayed"),
)
"""Headers of responses that a page may read."""


def add_cross_origin(app: FastAPI, settings: Settings) -> None:
    """Let pages of the origins in the settings call the service.

    It runs before the check of the key, because a browser sends no key with a preflight.
    """
    origins = [one for one in settings.cors_origins if one not in ("loopback", "none")]
    loopback = "loopback" in settings.cors_origins
    if not (origins or loopback):
        return
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_origin_regex=LOOPBACK if loopback else None,
        allow_methods=METHODS,
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )
