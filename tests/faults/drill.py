"""Shared by the drills: jobs in flight, clients that poll all the time, and the clock."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from tests.service import Service, until

STATUSES = ("queued", "running", "succeeded", "failed")
POLL_SECONDS = 0.1
SEEN_ENDS_EVERY = 10
"""A job that ended is polled in every tenth round only: the machine has other work to do."""


class Drill:
    """Jobs submitted to a service, polled by their own client from beginning to end.

    The client notes what no client may ever see: a fifth status, a live job that is not found, an
    end that changes, an error that no retry solves. ``fields``: of every request; ``each``: of the
    request with this number.
    """

    def __init__(
        self,
        service: Service,
        jobs: int,
        *,
        each: Callable[[int], dict[str, Any]] = lambda number: {},
        **fields: Any,
    ) -> None:
        self.service = service
        self._each = each
        self.wrong: list[str] = []
        self.last: dict[str, dict[str, Any]] = {}
        self._request = {"audio_duration": 5, "batch_size": 1, "audio_format": "wav", **fields}
        self.ids: list[str] = []
        self._submit(jobs)
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True)
        self._poller.start()

    def _submit(self, jobs: int) -> None:
        for number in range(jobs):
            request = {"caption": f"job {number}"} | self._request | self._each(number)
            self.ids.append(self.service.submit(**request))

    def _poll(self) -> None:
        round_number = 0
        with httpx.Client(base_url=self.service.url, timeout=30) as http:
            while not self._stop.is_set():
                round_number += 1
                ended = set(self.ended()) if round_number % SEEN_ENDS_EVERY else ()
                for job_id in self.ids:
                    if job_id in ended:
                        continue
                    self._answered(job_id, http)
                self._stop.wait(POLL_SECONDS)

    def _answered(self, job_id: str, http: httpx.Client) -> bool:
        """Poll a job once; False: the connection failed, which a retry solves."""
        try:
            answer = http.get(f"/v1/jobs/{job_id}")
        except httpx.TransportError:
            return False
        self._look(job_id, answer)
        return True

    def _look(self, job_id: str, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            problem = answer.headers["content-type"].startswith("application/problem+json")
            # The proxy's own plain 404 and a 5xx mean "try again"; a problem 4xx is final.
            if problem and answer.status_code < 500:
                self.wrong.append(f"{job_id}: {answer.text}")
            return
        job = answer.json()
        before = self.last.get(job_id)
        if job["status"] not in STATUSES:
            self.wrong.append(f"{job_id}: status {job['status']}")
        if before and before["status"] in ("succeeded", "failed"):
            same = ("status", "result", "error_code", "finished_at")
            if any(before[key] != job[key] for key in same):
                self.wrong.append(f"{job_id}: an end that changed: {before} {job}")
        self.last[job_id] = job

    def statuses(self) -> dict[str, str]:
        """What the client last saw, by job."""
        return {job_id: job["status"] for job_id, job in list(self.last.items())}

    def ended(self) -> list[str]:
        """Jobs that the client has seen end."""
        return [j for j, status in self.statuses().items() if status in ("succeeded", "failed")]

    def until_running(self, stage: str = "") -> None:
        """Wait until a job is running (in ``stage``), while others wait."""
        jobs = len(self.ids)

        def there() -> bool:
            if len(self.ended()) == len(self.ids) < 5 * jobs:
                self._submit(jobs)  # all ended before this client, on a busy machine, polled
            return any(
                job["status"] == "running"
                and (not stage or (job["progress"] or {}).get("stage") == stage)
                for job in list(self.last.values())
            )

        until(there, f"no job was seen running {stage}")

    def recovery(self, fault: Callable[[], Any]) -> float:
        """Do the fault; return the seconds until all jobs progress again.

        That is: the service accepts a job, every job that ran at the time of the fault has ended or
        runs in another attempt (or was not affected and still runs), and one more job has ended.
        """
        running = {
            j: self.last[j]["attempts"] for j, s in self.statuses().items() if s == "running"
        }
        done = len(self.ended())
        fault()
        since = time.monotonic()

        def takes_jobs() -> bool:
            try:
                request = {"audio_duration": 1, "batch_size": 1, "caption": "after the fault"}
                answer = self.service.http.post("/v1/music/generate", json=request)
            except httpx.TransportError:
                return False
            if answer.status_code == 200:
                self.ids.append(answer.json()["job_id"])
                return True
            return False

        until(takes_jobs, "no job is taken after the fault")

        def moves() -> bool:
            now = self.statuses()
            settled = all(now[job_id] != "queued" for job_id in running)
            return settled and len(self.ended()) > done

        until(moves, "jobs do not move after the fault")
        return time.monotonic() - since

    def all_end(self) -> list[dict[str, Any]]:
        """Wait until the client has seen every job end; check each end; return the jobs."""
        try:
            until(lambda: len(self.ended()) == len(self.ids), "not all jobs ended")
        finally:
            self._stop.set()
            self._poller.join()
        for job_id in self.ids:  # once more: an end must not change
            until(partial(self._answered, job_id, self.service.http), f"{job_id} is not found")
        assert not self.wrong, self.wrong
        jobs = [self.last[job_id] for job_id in self.ids]
        for job in jobs:
            if job["status"] == "succeeded":
                for path in job["result"]["audio_paths"]:
                    assert self.service.http.head(path).status_code == 200, job
        return jobs

    def all_succeed(self) -> list[dict[str, Any]]:
        """As ``all_end``, and every job has succeeded."""
        jobs = self.all_end()
        assert [job for job in jobs if job["status"] != "succeeded"] == []
        return jobs
