"""The object store is killed and comes back while jobs run: they wait for it, and none is lost.

Meanwhile a request for audio soon gets the error that the store is unavailable, and a decoder that
starts takes no jobs, because it could not store them.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.drill import Drill
from tests.s3 import BUCKET, S3Server
from tests.service import Service, running, until

AWAY_SECONDS = 5.0


@pytest.fixture
def service(
    own_data: Path, environment: dict[str, str], config: dict[str, Any], s3: S3Server
) -> Iterator[Service]:
    environment = environment | s3.environment | {"ACESTEP_ARTIFACTS": f"s3://{BUCKET}/faults"}
    with running(own_data, environment, config) as service:
        yield service


def test_object_store(service: Service, s3: S3Server, jobs: int, table: dict[str, float]) -> None:
    drill = Drill(service, jobs)
    until(lambda: len(drill.ended()) >= 2, "no job ended")

    s3.kill()
    since = time.monotonic()
    back = threading.Timer(AWAY_SECONDS, s3.start)
    back.start()
    ran = {job_id for job_id, status in drill.statuses().items() if status == "running"}
    until(lambda: ran <= set(drill.ended()), "jobs wait for the store in vain")
    table[f"object store, away for {AWAY_SECONDS:g} s"] = time.monotonic() - since
    back.join()
    done = drill.all_succeed()
    assert {job["attempts"] for job in done} == {1}

    s3.kill()
    try:
        path = done[0]["result"]["first_audio_path"]
        answer = service.http.get(path)
        assert answer.json()["code"] == "storage_unavailable"
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        service.kill("ray::ServeReplica:acestep:Decoder")

        def unready() -> bool:
            return service.http.get("/ready").status_code == 503

        until(unready, "the service calls itself ready without decoders")
        waiting = Drill(service, 2)
    finally:
        s3.start()
    waiting.all_succeed()
    assert service.http.get(path).status_code == 200
