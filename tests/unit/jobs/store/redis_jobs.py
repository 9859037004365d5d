"""Jobs for the tests of Redis alone."""

from acestep_ray.jobs.store.operations import ListJobs, Op, Submit
from acestep_ray.jobs.store.redis import RedisStore
from tests.unit.jobs.store.contract import ask


def submit(*job_ids: str, spec: str = "x" * 2000) -> list[Op]:
    kinds = ("submitted", "ended")
    return [
        Submit(job_id, spec, needs_plan=False, max_queued=10**6, webhook_kinds=kinds)
        for job_id in job_ids
    ]


def ids(store: RedisStore) -> list[str]:
    """Oldest first."""
    jobs = ask(store, ListJobs(limit=10**6), 1.0)
    return [job.job_id for job in reversed(jobs)]
