"""Replicas follow the waiting work: from none to many, and to none; also after a redeployment."""

from typing import Any

from tests.cluster.nodes import ClusterService
from tests.service import until

SONG = {"caption": "a song", "audio_duration": 10, "batch_size": 1, "audio_format": "wav"}
WAITING = 16
"""Jobs, of two seconds each, that wait all the time while the application is redeployed."""


def test_deployed_anew_while_jobs_run(service: ClusterService, changed: dict[str, Any]) -> None:
    """For Serve, other settings are other code: it drains and replaces every replica."""
    app = changed["applications"][0]
    app["args"]["defaults"] = {"job_seconds": 7.0}
    decoder = {"num_gpus": 1, "min_replicas": 0, "max_replicas": 4}
    app["args"]["scaling"] |= {"decoder": decoder, "planner": {"min_replicas": 0}}
    before = {one.replica for one in service.replicas("Decoder")}
    ids: list[str] = []

    def running() -> int:
        """How many jobs run; enough others wait, however long this takes."""
        stats = service.http.get("/v1/stats").raise_for_status().json()
        for _ in range(stats["queued"], WAITING):
            ids.append(service.insist(f"while deployed anew {len(ids)}", **SONG))
        return int(stats["running"])

    def replaced() -> bool:
        running()
        now = {one.replica for one in service.replicas("Decoder")}
        return not now & before and 0 < len(now) <= decoder["max_replicas"]

    until(running, "none runs")
    service.deploy(changed)
    until(replaced, "old decoders are left")
    jobs = [service.finish(job_id) for job_id in ids]
    assert {job["status"] for job in jobs} == {"succeeded"}
    # Drained, not killed: no job was lost.
    assert {job["attempts"] for job in jobs} == {1}


def test_from_none_to_many_and_to_none(service: ClusterService) -> None:
    """With the settings that the test before has deployed."""
    service.until_replicas("Decoder", 0)
    service.until_replicas("Planner", 0)
    # Without replicas, but not broken; the earlier deployment may still be ending.
    until(lambda: service.http.get("/ready").status_code == 200, "not ready")
    ids = [service.submit(**SONG, use_5hz_lm=True) for _ in range(30)]
    most = 0
    waits = []

    def ended() -> bool:
        nonlocal most
        most = max(most, len(service.replicas("Decoder")))
        last = service.job(ids[-1])
        if last["status"] == "queued":
            waits.append(last["eta_seconds"])
        return all(service.job(job_id)["status"] == "succeeded" for job_id in ids)

    until(ended, "not all jobs succeeded")
    assert 1 < most <= 4
    assert all(wait > 0 for wait in waits)
    service.until_replicas("Decoder", 0)
    service.until_replicas("Planner", 0)
    assert service.finish(service.submit(**SONG))["attempts"] == 1
