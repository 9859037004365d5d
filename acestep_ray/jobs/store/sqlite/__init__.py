"""The job store in one SQLite file: a process at a time, a machine at a time."""

from acestep_ray.jobs.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
