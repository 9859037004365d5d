"""The job store in one SQLite file: one process of one machine at a time."""

from acestep_ray.jobs.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
