"""How much a store holds, to compare two."""

from dataclasses import dataclass

from acestep_ray.jobs.job import Status


@dataclass(frozen=True)
class Counts:
    """``jobs``: by status. ``keys``: idempotency keys; ``tombstones``: ids of jobs that are gone;
    ``garbage``: of those whose audio may still be there."""

    jobs: dict[Status, int]
    keys: int
    tombstones: int
    garbage: int
