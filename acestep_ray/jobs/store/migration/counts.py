"""How much a store holds; used to compare two stores."""

from dataclasses import dataclass

from acestep_ray.jobs.job import Status


@dataclass(frozen=True)
class Counts:
    """``jobs``: number of jobs by status. ``keys``: idempotency keys. ``tombstones``: ids of jobs
    that are gone. ``garbage``: ids of jobs whose audio may still be stored."""

    jobs: dict[Status, int]
    keys: int
    tombstones: int
    garbage: int
