"""A bucket of S3, Google or Azure, opened by its URL.

Credentials, region and endpoint come from the environment, from the variables that the clouds' own
tools use; a URL contains none of them.
"""

import os
import re
from datetime import timedelta

from obstore.store import AzureStore, GCSStore, S3Store, from_url

from acestep_ray.artifacts.errors import StorageUnusable

Bucket = S3Store | GCSStore | AzureStore

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
LONGEST_PAUSE = timedelta(seconds=2)
"""Longest pause between two tries at an unavailable store."""


def open_bucket(url: str, patience: float) -> Bucket:
    """The store at an ``s3://``, ``gs://`` or ``az://`` URL. Does not connect yet.

    If the store cannot be reached or has an error of its own, a request is repeated for
    ``patience`` seconds. Raises StorageUnusable, and obstore's BaseError if variables are missing.
    """
    if url.startswith("s3:"):
        _check_endpoint()
    store = from_url(
        url,
        retry_config={
            "max_retries": 10_000,  # the time is the limit
            "retry_timeout": timedelta(seconds=patience),
            "backoff": {"max_backoff": LONGEST_PAUSE},
        },
    )
    assert isinstance(store, Bucket)
    return store


def _check_endpoint() -> None:
    """Check the endpoint: the library would panic, or report only a "builder error"."""
    name = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if name is None:
        return
    endpoint = os.environ[name]
    if not re.fullmatch(r"https?://[^/?#@\s]+(/\S*)?", endpoint):
        raise StorageUnusable(f"{name} must be a URL such as https://s3.example.com.")
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "on", "yes", "y")
    if endpoint.startswith("http:") and not allowed:
        raise StorageUnusable(
            f"{name} is not encrypted (http://); use https://, or set AWS_ALLOW_HTTP=true if that "
            "is what you want."
        )
