"""Every setting of the service, in one tree (tree.py)."""

from acestep_ray.settings.limits import Limits
from acestep_ray.settings.lm import Lm
from acestep_ray.settings.observability import Logs, Tracing
from acestep_ray.settings.tree import (
    Ingest,
    Jobs,
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
    "Logs",
    "Lyrics",
    "Mock",
    "Restarts",
    "Settings",
    "Tracing",
    "Webhooks",
]
