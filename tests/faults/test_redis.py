"""The service's Redis is killed and comes back, and is unreachable for a while: jobs continue."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.drill import Drill
from tests.redis_server import RedisServer
from tests.service import Service, running, until

PARTED_SECONDS = 10.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that the test may damage."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="module")
def service(
    redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
    config: dict[str, Any],
    mock_engines: dict[str, str],
) -> Iterator[Service]:
    data: Path = tmp_path_factory.mktemp("faults") / "data"
    with running(data, mock_engines | {"ACESTEP_STORE": redis.url}, config) as service:
        yield service


def test_redis_is_killed(
    service: Service, redis: RedisServer, jobs: int, table: dict[str, float]
) -> None:
    drill = Drill(service, jobs)
    drill.until_running()

    def kill() -> None:
        redis.kill()
        redis.start()

    table["Redis, killed and started again"] = drill.recovery(kill)
    # The processes that use the store wait for it: each job needed one attempt.
    assert {job["attempts"] for job in drill.all_succeed()} == {1}


def test_redis_is_out_of_reach(
    service: Service, redis: RedisServer, jobs: int, table: dict[str, float]
) -> None:
    """For longer than a runner's lease lasts."""
    drill = Drill(service, jobs)
    drill.until_running()

    def part() -> None:
        redis.pause()
        threading.Timer(PARTED_SECONDS, redis.resume).start()

    table[f"Redis, out of reach for {PARTED_SECONDS:g} s"] = drill.recovery(part)
    drill.all_succeed()


def test_a_cancel_while_redis_is_away_is_answered_once_it_is_back(
    service: Service, redis: RedisServer
) -> None:
    job_id = service.submit(audio_duration=30, inference_steps=200)
    until(lambda: service.job(job_id)["status"] == "running", "the job did not start")
    redis.kill()
    threading.Timer(1.0, redis.start).start()
    answer = service.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["error_code"]) == (200, "cancelled")


def test_a_full_redis_takes_no_new_jobs_and_ends_those_it_has(
    service: Service, redis: RedisServer
) -> None:
    ids = [service.submit(audio_duration=2, batch_size=1) for _ in range(4)]
    redis.do("CONFIG SET", "maxmemory", "1mb")
    try:
        answer = service.http.post("/v1/music/generate", json={"audio_duration": 2})
        assert answer.status_code == 503
        assert "no room for new jobs" in answer.json()["detail"]
        assert {service.finish(job_id)["status"] for job_id in ids} == {"succeeded"}
    finally:
        redis.do("CONFIG SET", "maxmemory", "0")
    service.make(audio_duration=1, batch_size=1)
