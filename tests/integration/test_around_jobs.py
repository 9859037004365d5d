"""Around a job: safe repeats, lists, a full queue, and waiting that costs other clients nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.service import Service, until


def files(service: Service) -> int:
    """Uploads in storage; takes are added and removed meanwhile."""
    return sum(path.is_file() for path in (service.data / "artifacts" / "sources").rglob("*"))


def test_a_submit_can_be_repeated_safely(service: Service) -> None:
    def send(key: str, **fields: Any) -> httpx.Response:
        request = {"audio_duration": 1, "batch_size": 1, **fields}
        return service.http.post(
            "/v1/music/generate", json=request, headers={"Idempotency-Key": key}
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send("one", caption="x"), range(8)))
    ids = {answer.json()["job_id"] for answer in answers}
    assert len(ids) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 7
    other = send("one", caption="y")
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"
    assert send("two", caption="x").json()["job_id"] not in ids
    service.finish(ids.pop())


def test_jobs_are_listed_newest_first_by_page(service: Service) -> None:
    ids = [service.submit(audio_duration=1, batch_size=1) for _ in range(5)]
    for job_id in ids:
        service.finish(job_id)
    seen: list[str] = []
    cursor = None
    while len(seen) < 5:
        page = service.http.get("/v1/jobs", params={"limit": 2, "cursor": cursor or ""}).json()
        seen += [job["job_id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    assert seen[:5] == ids[::-1]
    done = service.http.get("/v1/jobs", params={"status": "succeeded", "limit": 200}).json()["jobs"]
    assert {job["status"] for job in done} == {"succeeded"}
    assert set(ids) <= {job["job_id"] for job in done}
    assert service.http.get("/v1/jobs", params={"status": "done"}).status_code == 422
    cancelled = service.submit(audio_duration=1, batch_size=1, inference_steps=200)
    service.http.post(f"/v1/jobs/{cancelled}/cancel")
    for query, there in (("cancelled", True), ("!cancelled", False)):
        listed = service.http.get(f"/v1/jobs?error_code={query}&limit=200").json()["jobs"]
        assert (cancelled in {job["job_id"] for job in listed}) is there
        assert all("result" not in job for job in listed)


def test_a_full_queue_says_so_and_keeps_nothing(service: Service) -> None:
    song = service.http.get(
        service.make(audio_duration=1, batch_size=1)["result"]["first_audio_path"]
    ).content
    ids: list[str] = []

    def upload() -> httpx.Response:
        """Into a full queue: when a job has just left it, another may take the place first."""
        while True:
            filler = service.http.post("/v1/music/generate", json={"audio_duration": 600})
            if filler.status_code != 200:
                before = files(service)
                answer = service.http.post(
                    "/v1/music/generate", data={"task_type": "cover"}, files={"src_audio": song}
                )
                if answer.status_code != 200:
                    assert files(service) == before
                    return answer
                filler = answer
            ids.append(filler.json()["job_id"])
            assert len(ids) < 300, "the queue has no end"

    try:
        answer = upload()
        assert answer.status_code == 429
        assert answer.json()["code"] == "queue_full"
        assert int(answer.headers["retry-after"]) > 0
    finally:
        for job_id in ids:
            assert service.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    until(lambda: service.http.get("/v1/stats").json()["running"] == 0, "engines still run")
    assert service.make(audio_duration=1)["status"] == "succeeded"


def test_many_long_polls_leave_room_for_others(service: Service) -> None:
    """300 clients wait for one job; other requests are handled as usual."""
    job_id = service.submit(audio_duration=600, batch_size=8)
    until(lambda: service.job(job_id)["status"] == "running", "the job did not start")
    limits = httpx.Limits(max_connections=400)
    with (
        httpx.Client(base_url=service.url, timeout=120, limits=limits) as http,
        ThreadPoolExecutor(300) as pool,
    ):
        waiting = [
            pool.submit(http.get, f"/v1/jobs/{job_id}", params={"wait": 60}) for _ in range(300)
        ]
        for _ in range(20):
            assert service.http.get("/v1/stats").status_code == 200
        assert not any(poll.done() for poll in waiting)
        service.http.post(f"/v1/jobs/{job_id}/cancel")
        answers = [poll.result() for poll in waiting]
    # Woken, not timed out.
    assert all(answer.elapsed.total_seconds() < 60 for answer in answers)
    assert {answer.json()["error_code"] for answer in answers} == {"cancelled"}
