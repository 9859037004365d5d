"""Events of a job, as its stream has them (docs/events.md)."""

from acestep_ray.client.models import JobState, Model, Progress


class Event(Model):
    """Something that happened to a job.

    ``kind``: ``state`` (the stream begins, or begins again), ``running``, ``stage``, ``progress``,
    ``requeued``, ``ended`` or ``deleted``; newer services may have others. ``at``: epoch seconds,
    None for ``state``. ``status``: the job's status after it. ``attempt``: rises when the job is
    requeued. ``progress``: of ``stage`` and ``progress``. ``job``: of ``state`` and ``ended``.
    ``reset``: of ``state``, whether events before it were lost.
    """

    kind: str
    id: str = ""
    job_id: str
    status: str
    at: float | None = None
    attempt: int = 0
    progress: Progress | None = None
    error_code: str | None = None
    job: JobState | None = None
    reset: bool = False
