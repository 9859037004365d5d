"""Used by the API's tests: the library's JobStoreService without Ray, and an app over it."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from acestep_ray.api.store_service import JobStoreService
from acestep_ray.artifacts.keys import take_key
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import Take
from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.jobs.client import PATIENCE
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.events import Topic
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import JobResult, Progress
from acestep_ray.jobs.snapshot import QueueStats, Snapshot, State
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.answers import Answer
from acestep_ray.jobs.store.operations import (
    Finish,
    Get,
    KeepAlive,
    Lease,
    Operation,
    Start,
    Submit,
)
from acestep_ray.jobs.store.records import JobRecord, Submitted
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.planner.protocol import Metadata, Plan, PlannerDescription, SongText
from acestep_ray.replicas.deployed import Deployed
from acestep_ray.replicas.registry import Registration
from acestep_ray.settings import Settings
from tests.recording_meter import RecordingMeter
from tests.unit.jobs.local_client import LocalClient

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
    adapters=True,
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


class FailingClient(LocalClient):
    """A JobStoreClient whose calls raise ``fail``, if that is set."""

    fail: Exception | None = None

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        self._check()
        return await super().apply(op, patience)

    async def state(self, topic: Topic) -> State:
        self._check()
        return await super().state(topic)

    async def stats(self) -> QueueStats:
        self._check()
        return await super().stats()

    def _check(self) -> None:
        if self.fail:
            raise self.fail


class NoServe:
    """The ServeState of a service that does not run on Serve."""

    async def look(self) -> None:
        """See ServeState."""

    def starting(self) -> frozenset[str]:
        """See ServeState."""
        return frozenset()

    def idle(self) -> frozenset[str]:
        """See ServeState."""
        return frozenset()


class LocalService(JobStoreService):
    """A JobStoreService over a coordinator in this process; its jobs are in a SQLite file.

    Tests set what is deployed (``deploy``), what every call raises (``fail``), and how many seconds
    the coordinator's clock is ``ahead``. ``submits`` and ``waits`` record the calls.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.ahead = 0.0
        self.coordinator = JobCoordinator(
            lambda: SqliteStore(path), settings, clock=lambda: time.time() + self.ahead
        )
        self.client = FailingClient(self.coordinator)
        super().__init__(self.client, settings, NoServe())
        self.deploy = READY
        self.submits: list[Submit] = []
        self.waits: list[str] = []

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Its jobs can be used until the block ends."""
        await self.coordinator.open()
        try:
            yield
        finally:
            await self.coordinator.close()

    @property
    def fail(self) -> Exception | None:
        """What every call raises; None: calls succeed."""
        return self.client.fail

    @fail.setter
    def fail(self, error: Exception | None) -> None:
        self.client.fail = error

    async def submit(self, submit: Submit) -> Submitted:
        """Record it, and submit it."""
        self.submits.append(submit)
        return await super().submit(submit)

    async def wait(self, job_id: str, seen: Status, seconds: float) -> Snapshot:
        """Record it, and wait."""
        self.waits.append(job_id)
        return await super().wait(job_id, seen, seconds)

    async def deployed(self, *, at_once: bool = False) -> Deployed:
        """What the test has set."""
        if self.fail:
            raise self.fail
        return self.deploy

    def register(self, planners: list[int], decoders: list[int]) -> None:
        """Register replicas that have so many slots. They count once a job was started."""
        now = time.monotonic()
        for number, slots in enumerate(planners):
            one = Registration(f"planner {number}", "Planner", MOCK_LM, slots)
            self.coordinator.registry.register(one, now)
        for number, slots in enumerate(decoders):
            one = Registration(f"decoder {number}", "Decoder", TURBO, slots)
            self.coordinator.registry.register(one, now)

    async def start(self, progress: Progress | None = None) -> JobRecord:
        """Lease the next job with a plan and the next without one, if there are both; start the
        first of them, and report its progress."""
        await self.client.apply(KeepAlive("runner", 60))
        lease = Lease("runner", str(time.monotonic()), plan_slots=1, decode_slots=1)
        record = (await self.client.apply(lease))[0]
        assert await self.client.apply(Start(record.job_id, record.attempt))
        if progress:
            await self.report(record, progress)
        return (await self.client.apply(Get(record.job_id))).record

    async def report(self, record: JobRecord, progress: Progress) -> None:
        """Report how far a started job is."""
        await self.client.report([(record.job_id, record.attempt, progress)])

    async def finish(self, record: JobRecord, result: JobResult | None) -> None:
        """End a started job: with a result, or as failed."""
        end = (
            Finish(record.job_id, record.attempt, result=result.model_dump_json())
            if result
            else Finish(
                record.job_id,
                record.attempt,
                error="The decoder ran out of memory.",
                error_code=ErrorCode.OUT_OF_MEMORY,
            )
        )
        await self.client.apply(end)


@dataclass
class ApiHarness:
    """A running app, and everything behind it."""

    settings: Settings
    service: LocalService
    artifacts: Artifacts
    http: httpx.AsyncClient
    folder: Path
    app: ASGIApp
    meter: RecordingMeter

    async def submit(self, **fields: object) -> httpx.Response:
        """POST the fields as JSON, with a caption unless they have one (or null for none)."""
        headers = {"Content-Type": "application/json"}
        body = {"caption": "a tune", **fields}
        return await self.http.post(URL, content=json.dumps(body), headers=headers)

    async def spec(self, **fields: object) -> JobSpec:
        """The stored spec of a good request."""
        answer = await self.submit(**fields)
        assert answer.status_code == 200, answer.text
        return await self.stored(answer.json()["job_id"])

    async def stored(self, job_id: str) -> JobSpec:
        """The spec of a job."""
        return JobSpec.model_validate_json((await self.service.get(job_id)).record.spec)

    async def queued(self) -> int:
        """How many jobs wait."""
        return (await self.service.stats()).store.queued

    async def stored_keys(self) -> list[str]:
        """The keys in artifact storage."""
        return sorted([stored.key async for stored in self.artifacts.list()])

    async def succeed(
        self,
        takes: Sequence[bytes] = (b"one", b"two"),
        plan: Plan | None = None,
        ext: str = "mp3",
        seconds: float = 0.0,
    ) -> str:
        """Run the next job, for so many ``seconds`` more than it takes; its takes hold these bytes.
        Returns its id."""
        record = await self.service.start()
        self.service.ahead += seconds
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
