"""Two applications on two Ray clusters share a Redis and a bucket, as during an upgrade.

Each returns the other's jobs; then one of them is killed, and the other does its jobs.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.drill import Drill
from tests.redis_server import RedisServer
from tests.s3 import BUCKET, S3Server
from tests.service import Service, running, until

SLOTS = 4
"""Jobs that the decoders of one cluster hold."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as redis:
        yield redis


@pytest.fixture
def services(
    tmp_path: Path,
    redis: RedisServer,
    s3: S3Server,
    config: dict[str, Any],
    mock_engines: dict[str, str],
) -> Iterator[list[Service]]:
    shared = {"ACESTEP_STORE": redis.url, "ACESTEP_ARTIFACTS": f"s3://{BUCKET}/two"}
    environment = mock_engines | s3.environment | shared
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(tmp_path / name / "data", environment, config))
            for name in ("old", "new")
        ]


def test_two_clusters(services: list[Service], jobs: int, table: dict[str, float]) -> None:
    old, new = services
    each_answers_for_the_other(old, new)
    # Three seconds each, so that even a slow client sees four running at the same time.
    here, there = (Drill(service, jobs, inference_steps=30) for service in services)
    here.ids, there.ids = [*here.ids, *there.ids], [*there.ids, *here.ids]

    def running() -> set[str]:
        """All jobs that run, at one moment."""
        page = new.http.get("/v1/jobs", params={"status": "running"}).json()["jobs"]
        return {job["job_id"] for job in page}

    ran = until(lambda: len(now := running()) >= SLOTS and now, "not both clusters are at work")
    since = time.monotonic()
    old.kill_everything()
    until(lambda: ran <= set(there.ended()), "jobs of the dead cluster are not done")
    table["one of two clusters on a Redis, all of it"] = time.monotonic() - since
    done = there.all_succeed()
    assert not here.wrong
    # Only the jobs that it had when it was killed were repeated.
    again = [job["job_id"] for job in done if job["attempts"] > 1]
    assert 0 < len(again) <= SLOTS
    assert {job["attempts"] for job in done} == {1, 2}
    seen = {job_id for job_id, job in here.last.items() if job["status"] == "succeeded"}
    assert not seen & set(again)

    old.start()
    for job in done:
        reported = old.job(job["job_id"])
        assert reported["result"] == job["result"]
        assert old.http.head(reported["result"]["first_audio_path"]).status_code == 200
    here.all_succeed()


def each_answers_for_the_other(old: Service, new: Service) -> None:
    """Both run jobs; each returns the progress of the other's jobs, and cancels them."""
    long = {"audio_duration": 5, "batch_size": 1, "inference_steps": 200}
    ids = [service.submit(**long) for service in [old, new] * SLOTS]

    def running(service: Service) -> set[str]:
        jobs = {job_id: service.job(job_id) for job_id in ids}
        return {job_id for job_id, job in jobs.items() if job["progress"]}

    def both_report() -> set[str] | None:
        """Each decoder of both clusters has one job on its device."""
        reported = running(old), running(new)
        return reported[0] if reported[0] == reported[1] and len(reported[0]) == SLOTS else None

    watched = until(both_report, "not both report how far all jobs are").pop()
    for service in (old, new):
        assert service.http.get("/v1/stats").json()["capacity"]["decode_slots"] == 2 * SLOTS
    with ThreadPoolExecutor(2) as pool:
        polls = [
            pool.submit(service.http.get, f"/v1/jobs/{watched}", params={"wait": 25})
            for service in (old, new)
        ]
        for job_id in ids:
            answer = new.http.post(f"/v1/jobs/{job_id}/cancel")
            assert answer.json()["error_code"] == "cancelled"
        # The other cluster hears of it a moment later (docs/storage.md).
        until(
            lambda: {old.job(job_id)["error_code"] for job_id in ids} == {"cancelled"},
            "the other cluster still returns jobs that were cancelled",
        )
        # A poll that waits at either cluster is woken, and does not wait for its timeout.
        assert {poll.result().json()["error_code"] for poll in polls} == {"cancelled"}
    # The engines of both are released: otherwise these jobs would wait for the others' ends.
    quick = [service.submit(audio_duration=1, batch_size=1) for service in [old, new] * SLOTS]
    assert {old.finish(job_id)["status"] for job_id in quick} == {"succeeded"}
