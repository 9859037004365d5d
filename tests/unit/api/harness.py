"""Used by the API's tests: a JobService over a real SQLite store, and a stand-in for the runner."""

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from acestep_ray.artifacts.keys import take_key
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import Take
from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import JobResult, Progress
from acestep_ray.jobs.snapshot import QueueStats, Snapshot
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.answers import Stored, stored
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    Finish,
    Get,
    KeepAlive,
    Lease,
    ListJobs,
    Operation,
    Start,
    Stats,
    Submit,
)
from acestep_ray.jobs.store.records import JobRecord, Submitted
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.planner.protocol import Metadata, Plan, PlannerDescription, SongText
from acestep_ray.replicas.capacity import Capacity
from acestep_ray.replicas.deployed import Deployed
from acestep_ray.settings import Settings

MOCK_LM = PlannerDescription(
    engine="mock",
    models=("acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-1.7B", "acestep-5Hz-lm-4B"),
    mock=True,
    deployment="Planner",
)
TURBO = DecoderDescription(
    engine="mock",
    model="acestep-v15-turbo",
    tasks=("text2music", "cover", "repaint"),
    turbo=True,
    mock=True,
    device="cpu",
)
BASE = DecoderDescription(
    engine="diffusers",
    model="acestep-v15-base",
    tasks=("text2music", "cover", "repaint", "lego", "extract", "complete"),
    turbo=False,
    mock=False,
    device="cuda:0",
)
READY = Deployed((MOCK_LM,), (TURBO,), ready=True, planner_slots={"Planner": 4})
NOTHING = Deployed((), (), ready=False, reasons=("No decoder replica is up yet.",))
PLAN = Plan(
    metadata=Metadata(
        bpm=97,
        caption="A calm tune.",
        duration=30,
        keyscale="D minor",
        language="en",
        timesignature="3",
    ),
    codes=(5, 63_999),
    seconds=30.0,
    model="acestep-5Hz-lm-1.7B",
    elapsed=0.5,
    mock=True,
)
WRITTEN = PLAN.model_copy(
    update={
        "text": SongText(
            caption="A calm, warm tune.",
            lyrics="[Verse]\nRain on the roof",
            metadata=PLAN.metadata.model_copy(update={"caption": "A calm, warm tune."}),
            model=PLAN.model,
            elapsed=0.2,
            mock=True,
        )
    }
)
"""The plan of a song whose text the LM wrote."""
URL = "/v1/music/generate"


class JobStoreService:
    """JobService without Ray. Tests set ``deploy`` and ``fail``."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.deploy = READY
        self.fail: Exception | None = None
        self.submits: list[Submit] = []
        self.progress: Progress | None = None
        self._changed = asyncio.Condition()

    def apply(self, op: Operation[Stored, object]) -> Stored:
        """One operation; raises its StoreError."""
        if self.fail:
            raise self.fail
        answer = self.store.apply([op], time.time())[0]
        return stored(op, answer)

    async def submit(self, submit: Submit) -> Submitted:
        self.submits.append(submit)
        return self.apply(submit)

    async def get(self, job_id: str) -> Snapshot:
        return self._snapshot(self.apply(Get(job_id)))

    async def wait(self, job_id: str, seen: Status, seconds: float) -> Snapshot:
        async with self._changed:
            change = self._changed.wait_for(lambda: self.apply(Get(job_id)).status is not seen)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await change
        return await self.get(job_id)

    async def list(self, query: ListJobs) -> list[Snapshot]:
        return [self._snapshot(record) for record in self.apply(query)]

    async def cancel(self, job_id: str) -> Snapshot:
        record = self.apply(Cancel(job_id))
        await self._tell()
        return self._snapshot(record)

    async def delete(self, job_id: str) -> None:
        self.apply(Delete(job_id))
        await self._tell()

    async def stats(self) -> QueueStats:
        return QueueStats(self.apply(Stats()), Capacity(1, 2, 4, 2), job_seconds=5.0)

    async def deployed(self) -> Deployed:
        if self.fail:
            raise self.fail
        return self.deploy

    async def start(self) -> JobRecord:
        """Lease the next job and start it."""
        self.apply(KeepAlive("runner", 60))
        record = self.apply(Lease("runner", str(time.monotonic()), 1, 1))[0]
        self.apply(Start(record.job_id, record.attempt))
        await self._tell()
        return self.apply(Get(record.job_id))

    async def finish(self, record: JobRecord, result: JobResult | None) -> None:
        """End a started job: with a result, or as failed."""
        if result:
            self.apply(Finish(record.job_id, record.attempt, result=result.model_dump_json()))
        else:
            self.apply(
                Finish(
                    record.job_id,
                    record.attempt,
                    error="The decoder ran out of memory.",
                    error_code=ErrorCode.OUT_OF_MEMORY,
                )
            )
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _snapshot(self, record: JobRecord) -> Snapshot:
        queued = record.status is Status.QUEUED
        return Snapshot(
            record,
            progress=self.progress,
            eta_seconds=record.position * 5.0 if queued else None,
            expires_at=record.finished_at + 100 if record.finished_at else None,
        )


@dataclass
class ApiHarness:
    """A running app, and everything behind it."""

    settings: Settings
    service: JobStoreService
    artifacts: Artifacts
    http: httpx.AsyncClient
    folder: Path
    app: ASGIApp

    async def submit(self, **fields: object) -> httpx.Response:
        """POST the fields as JSON, with a caption unless they have one (or null for none)."""
        headers = {"Content-Type": "application/json"}
        body = {"caption": "a tune", **fields}
        return await self.http.post(URL, content=json.dumps(body), headers=headers)

    async def spec(self, **fields: object) -> JobSpec:
        """The stored spec of a good request."""
        answer = await self.submit(**fields)
        assert answer.status_code == 200, answer.text
        return self.stored(answer.json()["job_id"])

    def stored(self, job_id: str) -> JobSpec:
        """The spec of a job."""
        return JobSpec.model_validate_json(self.service.apply(Get(job_id)).spec)

    def queued(self) -> int:
        """How many jobs wait."""
        return self.service.apply(Stats()).queued

    async def stored_keys(self) -> list[str]:
        """The keys in artifact storage."""
        return sorted([stored.key async for stored in self.artifacts.list()])

    async def succeed(
        self, takes: Sequence[bytes] = (b"one", b"two"), plan: Plan | None = None, ext: str = "mp3"
    ) -> str:
        """Run the next job; its takes hold these bytes. Returns its id."""
        record = await self.service.start()
        stored = []
        for index, data in enumerate(takes):
            path = self.folder / "take"
            path.write_bytes(data)
            key = take_key(record.job_id, record.attempt, index, ext)
            await self.artifacts.put_file(key, path)
            stored.append(
                Take(
                    index=index,
                    key=key,
                    seed=7 + index,
                    format=ext,
                    bytes=len(data),
                    sha256=sha256(data).hexdigest(),
                    samples=48_000 * 30,
                )
            )
        result = JobResult(
            takes=tuple(stored),
            plan=plan,
            generation_info="Steps: 8, Scale: 7.0",
            duration=30.0,
            warnings=("Memory ran short.",) if plan else (),
        )
        await self.service.finish(record, result)
        return record.job_id


def warnings_of(answer: httpx.Response) -> str:
    """The warnings of an accepted submit, as one text."""
    assert answer.status_code == 200, answer.text
    return " ".join(answer.json().get("warnings", []))


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in a response; its form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["title"] and problem["type"] == "about:blank"
    assert problem["detail"] and "Traceback" not in answer.text
    return problem


def field_errors(answer: httpx.Response, code: str = "invalid_value") -> dict[str, str]:
    """Field -> its error, from a 422 response."""
    problem = problem_of(answer, 422, code)
    errors = {entry["field"]: entry["detail"] for entry in problem["errors"]}
    assert len(errors) == len(problem["errors"]), "one entry a field"
    return errors
