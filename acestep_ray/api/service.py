"""What the routes need of the rest: jobs, and what is deployed. The ingress implements it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import QueueStats, Snapshot
from acestep_ray.jobs.store.protocol import ListJobs, Submit, Submitted
from acestep_ray.planner.protocol import PlannerDescription


class ServiceUnavailable(Exception):
    """The job store could not be reached in time; a retry heals it (503)."""

    sentence = "The job store cannot be reached right now; please try again."


class SubmitInDoubt(ServiceUnavailable):
    """Nobody knows whether it has the job that was submitted."""

    sentence = (
        "The job store cannot be reached right now, and may have taken the job all the same; "
        "please try again, with the Idempotency-Key of the first time if it had one."
    )


class StoreIsFull(ServiceUnavailable):
    """It can be reached, and has no room for a new job."""

    sentence = "The job store has no room for new jobs right now; please try again later."


@dataclass(frozen=True)
class Deployed:
    """What answers now. ``reasons`` says why it is not ready, a sentence each; ``planner_slots``:
    jobs that the replicas of each planner hold, by its name; ``starting``: planners that have none
    yet but are being started."""

    planners: tuple[PlannerDescription, ...]
    decoders: tuple[DecoderDescription, ...]
    ready: bool
    reasons: tuple[str, ...] = ()
    planner_slots: Mapping[str, int] = field(default_factory=dict)
    starting: frozenset[str] = frozenset()

    def state(self, planner: PlannerDescription) -> Literal["ready", "starting", "idle"]:
        """Whether a planner answers now, soon, or once a job asks for it."""
        if self.planner_slots.get(planner.deployment):
            return "ready"
        return "starting" if planner.deployment in self.starting else "idle"


class JobService(Protocol):
    """Jobs over any store. Raises the StoreErrors of jobs.store.protocol and ServiceUnavailable."""

    async def submit(self, submit: Submit) -> Submitted:
        """Queue a job; on disk when this returns."""
        ...

    async def get(self, job_id: str) -> Snapshot:
        """Read a job."""
        ...

    async def wait(self, job_id: str, seen: Status, seconds: float) -> Snapshot:
        """Read a job once its status is no longer ``seen``, or after ``seconds``."""
        ...

    async def list(self, query: ListJobs) -> list[Snapshot]:
        """Read many, newest first."""
        ...

    async def cancel(self, job_id: str) -> Snapshot:
        """End a job as cancelled."""
        ...

    async def delete(self, job_id: str) -> None:
        """End and forget a job."""
        ...

    async def stats(self) -> QueueStats:
        """Counts and figures."""
        ...

    async def deployed(self) -> Deployed:
        """What is deployed and whether it is ready."""
        ...
