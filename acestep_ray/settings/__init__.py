"""Every setting of the service, in one tree (tree.py)."""

from acestep_ray.settings.tree import (
    Ingest,
    Jobs,
    Limits,
    Lm,
    Lyrics,
    Mock,
    Restarts,
    Settings,
)
from acestep_ray.settings.webhooks import Webhooks

__all__ = [
    "Ingest",
    "Jobs",
    "Limits",
    "Lm",
    "Lyrics",
    "Mock",
    "Restarts",
    "Settings",
    "Webhooks",
]
