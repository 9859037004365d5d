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

__all__ = [
    "Ingest",
    "Jobs",
    "Limits",
    "Lm",
    "Lyrics",
    "Mock",
    "Restarts",
    "Settings",
]
