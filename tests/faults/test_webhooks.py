"""A receiver of webhooks fails for a while, and everything is killed and started again meanwhile.

A client that waits for the end of its song would otherwise wait for ever.
"""

import threading
from pathlib import Path
from typing import Any

from tests.faults.drill import Drill
from tests.service import Service, running, until
from tests.webhook_receiver import SECRET, Received, Receiver, Reply, receiving

EVENTS = ["submitted", "running", "ended"]
WEBHOOKS = {
    "ACESTEP_WEBHOOKS__SECRET": SECRET,
    "ACESTEP_WEBHOOKS__ALLOW": "loopback",
    # So that no drill waits for an hour.
    "ACESTEP_WEBHOOKS__LONGEST_PAUSE": "5",
}


class Books:
    """Decides what a receiver responds, and keeps what it has accepted."""

    def __init__(self, receiver: Receiver) -> None:
        self.accepts = threading.Event()
        self.accepted: list[Received] = []
        self.refused = 0
        receiver.reply = self._reply

    def _reply(self, received: Received) -> Reply:
        if not self.accepts.is_set():
            self.refused += 1
            return Reply(500)
        self.accepted.append(received)
        return Reply(200)

    def told(self, kind: str) -> set[str]:
        """Ids of the jobs of which an event was told, by messages with a good signature."""
        messages = [one.verified() for one in list(self.accepted)]
        return {one["data"]["job_id"] for one in messages if one["type"] == kind}


def deliveries(service: Service, job_id: str) -> list[dict[str, Any]]:
    answer = service.http.get(f"/v1/jobs/{job_id}/deliveries").raise_for_status()
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def test_every_end_is_told_though_everything_was_killed(
    own_data: Path, config: dict[str, Any], environment: dict[str, str], jobs: int
) -> None:
    with receiving() as receiver, running(own_data, environment | WEBHOOKS, config) as service:
        books = Books(receiver)
        drill = Drill(service, jobs, webhook_url=f"{receiver.url}/hook", webhook_events=EVENTS)
        drill.until_running()
        until(lambda: books.refused > jobs, "no message was sent")
        until(drill.ended, "no job ended")
        service.kill_everything()
        service.start()
        ended = drill.all_succeed()
        ids = {job["job_id"] for job in ended}
        books.accepts.set()
        until(lambda: books.told("job.ended") >= ids, "not every end was told")
        until(lambda: books.told("job.submitted") >= ids, "not every submit was told")
        until(lambda: books.told("job.running") >= ids, "not every start was told")
        settled = [one for job_id in ids for one in _settled(service, job_id)]
        assert {one["state"] for one in settled} == {"delivered"}
        # One end per job; the same message at each try. At least once is what is promised.
        by_id = {one.message_id: one.verified() for one in books.accepted}
        told = [one for one in by_id.values() if one["type"] == "job.ended"]
        assert len(told) == len(ids)
        assert all(one["data"]["status"] == "succeeded" for one in told)
        assert all(one["data"]["result"]["audio_paths"] for one in told)


def _settled(service: Service, job_id: str) -> list[dict[str, Any]]:
    """The deliveries of a job once none is pending: the outcome is stored after the response."""
    found: list[dict[str, Any]] = until(
        lambda: (
            None
            if any(one["state"] == "pending" for one in deliveries(service, job_id))
            else deliveries(service, job_id)
        ),
        f"the deliveries of {job_id} do not end",
    )
    return found
