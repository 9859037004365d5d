"""Jobs with webhooks in a coordinator, and the sender of their messages."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acestep_ray.api.routes.job_view import job_view
from acestep_ray.jobs.client import PATIENCE
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.result import JobResult, Progress
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.answers import Answer
from acestep_ray.jobs.store.operations import (
    Finish,
    KeepAlive,
    Lease,
    ListDeliveries,
    Operation,
    SaveDelivery,
    Start,
    Submit,
)
from acestep_ray.jobs.store.records import DeliveryRecord, JobRecord
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.jobs.webhook import PROGRESS_KINDS, Webhook
from acestep_ray.settings import Settings
from acestep_ray.webhooks.sender import Sender
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.specs import spec
from tests.unit.webhooks.meter import CountingMeter
from tests.webhook_receiver import SECRET

IN_TIME = 600.0  # seconds; what is awaited comes much earlier, but for a very busy machine
RESULT = JobResult(takes=(), plan=None, generation_info="", duration=30.0)
QUICK = {
    "secret": SECRET,
    "allow": ["loopback"],
    "first_pause": 0.01,
    "longest_pause": 0.05,
    "timeout": 5.0,
}


class BreakableClient(LocalClient):
    """``fault`` may raise before an operation is applied."""

    fault: Callable[[object], None] = staticmethod(lambda op: None)

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        self.fault(op)
        return await super().apply(op, patience)


class WebhookHarness:
    """Opens and closes what a service consists of, on one database. ``ahead``: seconds that the
    coordinator's clock is ahead. ``submitted``: the last submit."""

    submitted: Submit

    def __init__(self, path: Path, **webhooks: Any) -> None:
        self.settings = Settings(webhooks=QUICK | webhooks)
        self.ahead = 0.0
        self.meter = CountingMeter()
        self._path = path
        self.coordinator: JobCoordinator
        self.client: BreakableClient
        self.sender: Sender

    async def open(self) -> None:
        self.coordinator = JobCoordinator(
            lambda: SqliteStore(self._path), self.settings, clock=lambda: time.time() + self.ahead
        )
        await self.coordinator.open()
        self.client = BreakableClient(self.coordinator)

    def send(self) -> None:
        """Start a sender."""
        self.sender = Sender(self.client, self.data, self.settings.webhooks, self.meter)
        self.sender.start()

    async def close(self) -> None:
        await self.coordinator.close()

    def data(self, snapshot: Snapshot) -> dict[str, Any]:
        return job_view(snapshot, self.settings).model_dump(mode="json")

    async def submit(self, job_id: str, url: str, *events: str) -> None:
        """Queue a job that tells these events, or only its end."""
        webhook = Webhook(url=url, events=tuple(map(EventKind, events or ("ended",))))
        kinds = tuple(str(kind) for kind in webhook.events if kind not in PROGRESS_KINDS)
        self.submitted = Submit(
            job_id,
            spec().model_dump_json(),
            needs_plan=False,
            max_queued=1_000_000,
            task="text2music",
            webhook=webhook.model_dump_json(),
            webhook_kinds=kinds,
        )
        await self.client.apply(self.submitted)

    async def start(self) -> JobRecord:
        """Start the next job."""
        await self.client.apply(KeepAlive("runner", 1e6))
        lease = Lease("runner", str(time.monotonic()), plan_slots=0, decode_slots=1)
        (record,) = await self.client.apply(lease)
        assert await self.client.apply(Start(record.job_id, record.attempt))
        return record

    async def finish(self, record: JobRecord) -> None:
        result = RESULT.model_dump_json()
        assert await self.client.apply(Finish(record.job_id, record.attempt, result=result))

    async def make(self, job_id: str, url: str, *events: str) -> None:
        """A job from its submit to its end."""
        await self.submit(job_id, url, *events)
        await self.finish(await self.start())

    async def report(self, record: JobRecord, stage: str, step: int) -> None:
        progress = Progress(stage=stage, step=step, total=100, fraction=step / 100)
        await self.client.report([(record.job_id, record.attempt, progress)])

    async def deliveries(self, job_id: str) -> list[DeliveryRecord]:
        return await self.client.apply(ListDeliveries(job_id))

    async def until_state(self, job_id: str, state: str) -> DeliveryRecord:
        """Wait until the only message of a job is in a state, and return it."""
        async with asyncio.timeout(IN_TIME):
            while True:
                (record,) = await self.deliveries(job_id)
                if record.state == state:
                    return record
                await asyncio.sleep(0.01)


def saves(op: object) -> bool:
    """Whether an operation stores the outcome of a try."""
    return isinstance(op, SaveDelivery)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(IN_TIME):
        while not condition():
            await asyncio.sleep(0.005)
