"""The response to a poll is rendered once for each state of a job, and is that of this state."""

import json
from dataclasses import replace
from weakref import ref

import pytest

from acestep_ray.api.routes import poll_responses
from acestep_ray.api.routes.job_view import job_view, poll_headers
from acestep_ray.api.routes.poll_responses import PollResponses
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.settings import Settings
from tests.unit.jobs.specs import job_record, spec

SETTINGS = Settings()


def queued(job_id: str, caption: str = "pop") -> Snapshot:
    asked = spec(caption=caption).model_dump_json()
    record = job_record(job_id, spec=asked, created_at=1.8e9)
    return Snapshot(record, eta_seconds=12.0)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the jobs that were rendered."""
    found: list[str] = []

    def watched(snapshot: Snapshot, links: Settings) -> object:
        found.append(snapshot.record.job_id)
        return job_view(snapshot, links)

    monkeypatch.setattr(poll_responses, "job_view", watched)
    return found


def test_a_job_that_has_not_changed_is_rendered_once(rendered: list[str]) -> None:
    polls = PollResponses(SETTINGS)
    first, second = queued("a"), queued("b")
    for _ in range(3):
        for snapshot in (first, second):
            response = polls.of(snapshot)
            view = job_view(snapshot, SETTINGS)
            assert json.loads(bytes(response.body)) == view.model_dump(mode="json")
            for name, value in poll_headers(view).items():
                assert response.headers[name] == value
            assert response.headers["content-type"] == "application/json"
    assert rendered == ["a", "b"]


def test_a_job_that_has_changed_is_rendered_again(rendered: list[str]) -> None:
    polls = PollResponses(SETTINGS)
    before = queued("a")
    polls.of(before)
    failed = replace(before.record, status=Status.FAILED, error="", error_code=ErrorCode.CANCELLED)
    after = polls.of(Snapshot(failed, expires_at=1.9e9))
    assert json.loads(bytes(after.body))["status"] == "failed"
    assert "retry-after" not in after.headers
    assert json.loads(bytes(polls.of(before).body))["status"] == "queued"
    assert rendered == ["a", "a", "a"]


def test_only_so_many_bytes_are_kept(rendered: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_responses, "MOST_BYTES", 10_000)
    polls = PollResponses(SETTINGS)
    jobs = [queued(str(number)) for number in range(100)]
    for snapshot in (*jobs, jobs[-1], jobs[0]):
        polls.of(snapshot)
    assert len(rendered) == 101, "the last one was kept, and the first one was not"
    large = queued("large", "x" * 10_001)
    assert len(bytes(polls.of(large).body)) > 10_000
    polls.of(large)
    assert rendered[-2:] == ["large", "large"]


def test_what_a_client_sent_is_not_kept() -> None:
    polls = PollResponses(SETTINGS)
    snapshot = queued("a", "x" * 10_000)
    polls.of(snapshot)
    known = ref(snapshot)
    del snapshot
    assert known() is None
    assert json.loads(bytes(polls.of(queued("a")).body))["caption"] == "pop"
