"""Jobs that commit a467b46 stored, in SQLite and in Redis, can be listed and run to their ends.

``store/a467b46.sql`` and ``store/a467b46.redis`` (commands, their bytes as Latin-1) hold what it
wrote: two jobs that ended, one cancelled, one deleted, and six to be done; a runner that is gone
had leased two of these.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.runner import workflow
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.errors import JobExpired
from acestep_ray.jobs.store.operations import Get, ListJobs, Submit
from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.planner.protocol import PlanParameters
from acestep_ray.settings import Settings
from tests.redis_server import empty_redis
from tests.unit.jobs.engines import FakeEngines
from tests.unit.jobs.harness import IN_TIME, until_job
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.specs import spec

FIXTURES = Path(__file__).parent / "store"
TO_DO = ("running", "planned", "queued-plan", "queued", "queued-codes", "queued-repaint")


def sqlite_jobs(folder: Path) -> Callable[[], SqliteStore]:
    db = sqlite3.connect(folder / "jobs.sqlite")
    db.executescript((FIXTURES / "a467b46.sql").read_text())
    db.close()
    return lambda: SqliteStore(folder / "jobs.sqlite", lock_wait=0)


def redis_jobs(folder: Path) -> Callable[[], RedisStore]:
    server = empty_redis()
    for line in (FIXTURES / "a467b46.redis").read_text().splitlines():
        server.do(*(one.encode("latin-1") for one in json.loads(line)))
    return lambda: RedisStore(server.url)


@pytest.fixture(params=[sqlite_jobs, redis_jobs])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalClient]:
    settings = Settings.model_validate({"jobs": {"lease_seconds": 0.6}})
    started = time.monotonic()
    coordinator = JobCoordinator(
        request.param(tmp_path), settings, clock=lambda: 1040 + time.monotonic() - started
    )
    await coordinator.open()
    yield LocalClient(coordinator)
    await coordinator.close()


async def test_they_are_listed(client: LocalClient) -> None:
    jobs = {one.record.job_id: one.record for one in await client.apply(ListJobs())}
    assert set(jobs) == {*TO_DO, "succeeded", "failed", "cancelled"}
    result = jobs["succeeded"].result
    assert result
    assert JobResult.model_validate_json(result).takes[0].samples == 480_000
    assert jobs["failed"].error_code is ErrorCode.OUT_OF_MEMORY
    async with asyncio.timeout(IN_TIME):  # a sweep indexes what the earlier release did not
        while not (found := await client.apply(ListJobs(error_codes=(ErrorCode.CANCELLED,)))):
            await asyncio.sleep(0.01)
    assert [one.record.job_id for one in found] == ["cancelled"]
    with pytest.raises(JobExpired):
        await client.apply(Get("deleted"))
    again = Submit(
        "new", "{}", False, "owner", idempotency_key="key of queued", fingerprint="body of queued"
    )
    assert (await client.apply(again)).job_id == "queued"


async def test_it_reads_what_this_release_stores(client: LocalClient) -> None:
    """Its clusters share a Redis with ours during an upgrade, and run the jobs that ours accept."""
    for one in await client.apply(ListJobs()):
        stored = json.loads(one.record.spec)
        ours = json.loads(JobSpec.model_validate(stored).model_dump_json())
        lm = stored.pop("lm") or {}
        assert {name: ours[name] for name in stored} == stored
        assert {name: ours["lm"][name] for name in lm} == lm


def test_names_that_a_later_release_adds_are_ignored() -> None:
    """As earlier releases ignore the trace and the request's id, which this release stores."""
    ours = spec(PlanParameters(backend="mock")).model_copy(
        update={"trace": "00-1-2-01", "request_id": "r"}
    )
    stored = json.loads(ours.model_dump_json())
    assert (stored["trace"], stored["request_id"]) == ("00-1-2-01", "r")
    later = stored | {"added_later": [1], "lm": stored["lm"] | {"added_later": 2}}
    assert JobSpec.model_validate(later) == ours


def test_the_nested_form_is_read_too() -> None:
    whole = spec(PlanParameters(backend="mock", use_cot_caption=True), bpm=99)
    nested = {"decode": whole.decode.model_dump(), "plan": whole.plan, "warnings": ("a",)}
    assert JobSpec.model_validate(nested) == whole.model_copy(update={"warnings": ("a",)})
    assert JobSpec.model_validate_json(whole.model_dump_json()) == whole


async def test_they_run_to_their_ends(
    client: LocalClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "UNSTARTED_PAUSE", 0.0)
    engines = FakeEngines()
    artifacts = Artifacts((tmp_path / "artifacts").as_uri())
    settings = Settings.model_validate({"jobs": {"lease_seconds": 0.6}})
    runner = Runner(client, engines, artifacts, settings)
    client.deploy(2, 2)
    runner.start()
    for job_id in TO_DO:
        await until_job(client.coordinator, job_id, status=Status.SUCCEEDED)
    # The existing plan is not made again.
    assert {plan.job_id for plan in engines.plans} == {"queued-plan"}
    decoded = {decode.job_id: decode for decode in engines.decodes}
    assert decoded["planned"].codes == ((7,) * 50,)
    assert decoded["queued-codes"].codes == ((5,) * 50,)
    source = decoded["queued-repaint"].source
    assert source
    assert source.key == "sources/x/source.flac"
    await runner.drain()
