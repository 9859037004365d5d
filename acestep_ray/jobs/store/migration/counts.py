"""Numbers of what a store contains; used to compare two stores."""

from dataclasses import dataclass

from acestep_ray.jobs.job import Status


@dataclass(frozen=True)
class Counts:
    """``jobs``: number of jobs by status. ``keys``: number of idempotency keys. ``tombstones``:
    number of ids of deleted or expired jobs. ``garbage``: number of ids of jobs whose audio may
    still be stored. ``deliveries``: number of webhook messages."""

    jobs: dict[Status, int]
    keys: int
    tombstones: int
    garbage: int
    deliveries: int
