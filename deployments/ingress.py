"""The ingress deployment: the HTTP contract in front of the job store actor."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from acestep_ray.api.app import create_app
from acestep_ray.api.service import Deployed, ServiceUnavailable, StoreIsFull, SubmitInDoubt
from acestep_ray.audio.artifacts import Artifacts
from acestep_ray.jobs.feed import FeedWatch
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.roster import RosterView
from acestep_ray.jobs.snapshot import QueueStats, Snapshot
from acestep_ray.jobs.store.protocol import (
    Cancel,
    Delete,
    Get,
    JobExpired,
    ListJobs,
    Submit,
    Submitted,
)
from acestep_ray.planner.pairs import PlannerSpec, planners_of
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall
from deployments.names import DECODER
from deployments.serve_status import ServeStatus
from deployments.storage_guard import storage_ready
from deployments.store_client import StoreClient
from deployments.store_guard import store_ready

ROSTER_SECONDS = 1.0
"""How old the picture of what is deployed may be."""


class StoreService:
    """JobService over the job store actor."""

    def __init__(self, client: StoreClient, planners: Sequence[PlannerSpec]) -> None:
        self._client = client
        self._planners = planners
        self._feed = FeedWatch(client.changes)
        self._look = SharedCall(self._look_anew)
        self._looked_at = float("-inf")
        self._deployed = Deployed((), (), ready=False)
        self._serve = ServeStatus()

    async def submit(self, submit: Submit) -> Submitted:
        """See JobService."""
        try:
            answer: Submitted = await self._client.apply(submit)
        except StoreIsFull:
            raise
        except ServiceUnavailable as error:
            raise SubmitInDoubt(str(error)) from error
        return answer

    async def get(self, job_id: str) -> Snapshot:
        """See JobService."""
        answer: Snapshot = await self._client.apply(Get(job_id))
        return answer

    async def wait(self, job_id: str, seen: Status, seconds: float) -> Snapshot:
        """See JobService."""
        deadline = time.monotonic() + seconds
        while True:
            with self._feed.watch(job_id) as changed:
                snapshot = await self.get(job_id)
                left = deadline - time.monotonic()
                if snapshot.record.status != seen or left <= 0:
                    return snapshot
                try:
                    async with asyncio.timeout(left):
                        await changed.wait()
                except TimeoutError:
                    return await self.get(job_id)

    async def list(self, query: ListJobs) -> list[Snapshot]:
        """See JobService."""
        answer: list[Snapshot] = await self._client.apply(query)
        return answer

    async def cancel(self, job_id: str) -> Snapshot:
        """See JobService."""
        answer: Snapshot = await self._client.apply(Cancel(job_id))
        return answer

    async def delete(self, job_id: str) -> None:
        """See JobService."""
        await self.get(job_id)  # says whether there is one to delete
        with contextlib.suppress(JobExpired):  # then gone by this very call, repeated underway
            await self._client.apply(Delete(job_id))

    async def stats(self) -> QueueStats:
        """See JobService."""
        return await self._client.stats()

    async def deployed(self) -> Deployed:
        """See JobService. What was once deployed is remembered: requests for a stage whose
        replicas are just being replaced are still understood, and wait."""
        if time.monotonic() - self._looked_at > ROSTER_SECONDS:
            await self._look()
        return self._deployed

    async def _look_anew(self) -> None:
        view = await self._client.roster(None, 0)
        status = await self._serve_of(view)
        self._deployed = merge(self._deployed, view, self._planners, status)
        self._looked_at = time.monotonic()

    async def _serve_of(self, view: RosterView) -> ServeStatus:
        """What Serve says, asked anew where a deployment has no replica."""
        living = {word.deployment for word in view.live}
        if not living.issuperset({DECODER, *(spec.name for spec in self._planners)}):
            await self._serve.look()
        return self._serve


def merge(
    known: Deployed, view: RosterView, planners: Sequence[PlannerSpec], status: ServeStatus
) -> Deployed:
    """What is deployed, given what was known before, who lives now, which planners are to be, and
    what Serve says of those that have no replica.

    A planner that no replica has told of is described by its settings, as far as they can; a
    decoder that none has told of is not known, and rests only once it was.
    """
    capacity = view.capacity()
    resting, starting = status.resting(), status.starting()
    told = {d.deployment: d for d in (*known.planners, *view.planners())}
    described = (told.get(spec.name) or spec.describe() for spec in planners)
    missing = {spec.name for spec in planners} - capacity.planner_slots.keys()
    decoders = view.decoders() or known.decoders
    reasons = [
        f"No {spec.name} replica is up yet."
        for spec in planners
        if spec.pair.min_replicas and spec.name in missing - resting
    ]
    if not capacity.decoders and not (decoders and DECODER in resting):
        reasons.append("No decoder replica is up yet.")
    return Deployed(
        planners=tuple(d for d in described if d.models),
        decoders=decoders,
        ready=not reasons,
        reasons=tuple(reasons),
        planner_slots=capacity.planner_slots,
        starting=starting & missing,
    )


@serve.ingress()
class Ingress:
    """Parses, checks and queues requests; answers polls. Holds no job of its own.

    The runner's handle is taken so that the application holds every deployment; nobody calls it.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: Settings, runner: DeploymentHandle[Any]
    ) -> None:
        await store_ready(settings)  # away: it is waited for
        await storage_ready(settings)  # away: jobs can be polled all the same
        self._settings = settings
        self._runner = runner

    def __serve_build_asgi_app__(self) -> FastAPI:
        client = StoreClient(self._settings)
        artifacts = Artifacts(self._settings.artifacts_url)
        return create_app(
            self._settings, StoreService(client, planners_of(self._settings)), artifacts
        )
