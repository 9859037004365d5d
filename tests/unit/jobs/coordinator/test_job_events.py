"""Every change of a job becomes what its readers expect: none is lost, late or twice."""

from collections.abc import Callable
from typing import Any

import pytest

from acestep_ray.jobs.coordinator.job_events import JobEvents
from acestep_ray.jobs.coordinator.live_state import LiveState
from acestep_ray.jobs.coordinator.pending_progress import PendingProgress
from acestep_ray.jobs.events import EventKind, JobEvent
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.records import ChangeKind, JobChange
from acestep_ray.jobs.webhook import Webhook

STATUS = {
    ChangeKind.SUBMITTED: Status.QUEUED,
    ChangeKind.STARTED: Status.RUNNING,
    ChangeKind.PLANNED: Status.RUNNING,
    ChangeKind.REQUEUED: Status.QUEUED,
    ChangeKind.ENDED: Status.SUCCEEDED,
    ChangeKind.DELETED: Status.SUCCEEDED,
}


def change(kind: ChangeKind, attempt: int = 1, **fields: Any) -> JobChange:
    fields = {"job_id": "a", "status": STATUS[kind], "at": 5.0, "owner": "me", **fields}
    return JobChange(kind=kind, attempt=0 if kind is ChangeKind.SUBMITTED else attempt, **fields)


def at(stage: str, step: int, fraction: float, total: int = 8) -> Progress:
    return Progress(stage=stage, step=step, total=total, fraction=fraction)


class Setup:
    """A JobEvents, what its observer saw, and a clock for webhooks."""

    def __init__(self, observer: Callable[[JobChange], None] | None = None) -> None:
        self.now = 100.0
        self.observed: list[JobChange] = []
        self.live = LiveState()
        pending = PendingProgress(5.0, lambda: self.now)
        observers = [observer] if observer else []
        self.events = JobEvents(
            self.live, pending, lambda: 1000.0, [*observers, self.observed.append]
        )

    def publish(self, *changes: JobChange, own: bool = True) -> None:
        self.events.publish(changes, own=own)

    async def log(self) -> list[JobEvent]:
        found = await self.events.log.since((self.events.log.epoch, 0), 0)
        assert [version for version, _ in found.entries] == list(range(1, found.version + 1))
        return [event for _, event in found.entries]

    async def kinds(self) -> list[str]:
        return [str(event.kind) for event in await self.log()]


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_a_life(setup: Setup) -> None:
    setup.publish(change(ChangeKind.SUBMITTED))
    setup.publish(change(ChangeKind.STARTED), change(ChangeKind.PLANNED))
    setup.events.report([("a", 1, at("codes", 1, 0.1)), ("a", 1, at("codes", 8, 0.4))])
    setup.events.report([("a", 1, at("diffusion", 0, 0.42))])
    end: dict[str, Any] = {"status": Status.FAILED, "error_code": ErrorCode.TIMEOUT}
    setup.publish(change(ChangeKind.ENDED, **end), change(ChangeKind.DELETED, **end))
    log = await setup.log()
    assert [event.kind for event in log] == [
        *(EventKind.SUBMITTED, EventKind.RUNNING, EventKind.STAGE, EventKind.PROGRESS),
        *(EventKind.STAGE, EventKind.ENDED, EventKind.DELETED),
    ]
    assert {(event.job_id, event.owner) for event in log} == {("a", "me")}
    assert [event.at for event in log] == [5.0, 5.0, 1000.0, 1000.0, 1000.0, 5.0, 5.0]
    assert [event.attempt for event in log] == [0, 1, 1, 1, 1, 1, 1]
    assert log[4].progress == at("diffusion", 0, 0.42)
    assert (log[5].status, log[5].error_code) == (Status.FAILED, ErrorCode.TIMEOUT)
    # Runners and long polls are woken by every change, also by a plan: it frees a slot.
    found = await setup.events.changes.since((setup.events.changes.epoch, 0), 0)
    assert [job_id for _, job_id in found.entries] == ["a"] * 5


async def test_progress_that_is_no_progress_is_no_event(setup: Setup) -> None:
    setup.publish(change(ChangeKind.STARTED))
    steps = [at("diffusion", 4, 0.5), at("diffusion", 4, 0.5), at("diffusion", 3, 0.4)]
    setup.events.report([("a", 1, step) for step in steps])
    assert await setup.kinds() == ["running", "stage"]


async def test_progress_belongs_to_the_attempt_that_runs(setup: Setup) -> None:
    setup.events.report([("a", 1, at("diffusion", 1, 0.1))])
    setup.publish(change(ChangeKind.STARTED, 2))
    setup.events.report([("a", 1, at("diffusion", 1, 0.1)), ("b", 1, at("diffusion", 1, 0.1))])
    assert await setup.kinds() == ["running"]
    setup.events.report([("a", 2, at("diffusion", 4, 0.5))])
    setup.publish(change(ChangeKind.REQUEUED, 2))
    setup.events.report([("a", 2, at("diffusion", 5, 0.6))])
    setup.publish(change(ChangeKind.STARTED, 3))
    setup.events.report([("a", 3, at("diffusion", 1, 0.1))])  # it begins again
    assert await setup.kinds() == ["running", "stage", "requeued", "running", "stage"]
    assert setup.live.attempts() == [("a", 3)]
    setup.events.forget([("a", 2)])
    assert setup.events.attempts() == [("a", 3)]
    setup.events.forget([("a", 3)])
    assert (setup.events.attempts(), setup.live.attempts()) == ([], [])


async def test_a_peer_s_news_that_come_late_do_not_bring_a_job_back(setup: Setup) -> None:
    """The peer has started the job; this coordinator has cancelled it before it learns that."""
    setup.publish(change(ChangeKind.SUBMITTED))
    setup.publish(change(ChangeKind.ENDED, status=Status.FAILED))
    setup.publish(change(ChangeKind.STARTED), own=False)
    setup.events.report_of_peers([("a", 1, at("diffusion", 1, 0.1))])
    assert await setup.kinds() == ["submitted", "ended"]
    setup.publish(change(ChangeKind.DELETED, status=Status.FAILED))
    setup.publish(change(ChangeKind.REQUEUED), own=False)
    assert await setup.kinds() == ["submitted", "ended", "deleted"]


async def test_a_peer_s_news_of_an_earlier_attempt_do_not_stop_the_present_one(
    setup: Setup,
) -> None:
    setup.publish(change(ChangeKind.STARTED, 2))
    setup.publish(change(ChangeKind.REQUEUED, 1), change(ChangeKind.STARTED, 1), own=False)
    setup.events.report([("a", 2, at("diffusion", 1, 0.1))])
    assert await setup.kinds() == ["running", "stage"]


async def test_a_peer_of_an_earlier_release_names_no_attempt(setup: Setup) -> None:
    for kind in (ChangeKind.SUBMITTED, ChangeKind.STARTED, ChangeKind.REQUEUED, ChangeKind.STARTED):
        setup.publish(JobChange("a", kind, STATUS[kind]), own=False)
    setup.publish(JobChange("a", ChangeKind.ENDED, Status.SUCCEEDED), own=False)
    setup.publish(JobChange("a", ChangeKind.STARTED, Status.RUNNING), own=False)
    assert await setup.kinds() == ["submitted", "running", "requeued", "running", "ended"]
    assert {event.at for event in await setup.log()} == {1000.0}


async def test_peers_jobs_have_progress_and_are_not_observed(setup: Setup) -> None:
    """Two clusters would count each job twice."""
    setup.publish(change(ChangeKind.SUBMITTED))
    setup.publish(change(ChangeKind.STARTED), own=False)
    setup.events.report_of_peers([("a", 1, at("diffusion", 1, 0.1))])
    assert await setup.kinds() == ["submitted", "running", "stage"]
    assert [one.kind for one in setup.observed] == [ChangeKind.SUBMITTED]
    assert setup.live.attempts() == []  # it is the peer that shares it


async def test_an_observer_that_fails_loses_no_change(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: JobChange) -> None:
        raise KeyError("a label")

    setup = Setup(fail)
    setup.publish(change(ChangeKind.SUBMITTED))
    assert await setup.kinds() == ["submitted"]
    assert len(setup.observed) == 1
    assert "observer of jobs failed" in caplog.text


# Webhooks


def webhook(*kinds: EventKind) -> str:
    return Webhook(url="https://a.example/", events=kinds).model_dump_json()


def taken(setup: Setup) -> list[Progress | None]:
    return [one.event.progress for one in setup.events.pending.take(10)]


async def test_a_webhook_gets_the_latest_progress_and_not_too_often(setup: Setup) -> None:
    setup.publish(
        change(ChangeKind.STARTED, webhook=webhook(EventKind.STAGE, EventKind.PROGRESS)),
        change(ChangeKind.STARTED, job_id="b"),
    )
    woken = setup.events.to_deliver
    assert setup.events.pending.seconds_left() == float("inf")
    for step in range(3):
        one = at("diffusion", step, step / 10)
        setup.events.report([("a", 1, one), ("b", 1, one)])
    assert woken.is_set()
    assert setup.events.pending.seconds_left() == 0.0
    assert taken(setup) == [at("diffusion", 2, 0.2)]
    setup.events.report([("a", 1, at("diffusion", 3, 0.3))])
    assert (taken(setup), setup.events.pending.seconds_left()) == ([], 5.0)
    setup.now += 5
    assert taken(setup) == [at("diffusion", 3, 0.3)]
    assert setup.events.pending.take(10) == []


async def test_a_webhook_gets_what_it_subscribes_to(setup: Setup) -> None:
    setup.publish(change(ChangeKind.STARTED, webhook=webhook(EventKind.STAGE)))
    setup.publish(change(ChangeKind.STARTED, job_id="b", webhook=webhook(EventKind.ENDED)))
    setup.publish(change(ChangeKind.STARTED, job_id="c", webhook='{"events": ["later"]}'))
    for job_id in "abc":
        setup.events.report([(job_id, 1, at("codes", 1, 0.1)), (job_id, 1, at("codes", 2, 0.2))])
    assert taken(setup) == [at("codes", 1, 0.1)]


async def test_a_webhook_gets_no_progress_after_the_end(setup: Setup) -> None:
    setup.publish(change(ChangeKind.STARTED, webhook=webhook(EventKind.STAGE)))
    setup.events.report([("a", 1, at("codes", 1, 0.1))])
    setup.publish(change(ChangeKind.ENDED))
    assert taken(setup) == []


async def test_the_webhooks_of_a_peer_s_jobs_are_the_peer_s(setup: Setup) -> None:
    setup.publish(change(ChangeKind.STARTED, webhook=webhook(EventKind.STAGE)), own=False)
    setup.events.report_of_peers([("a", 1, at("codes", 1, 0.1))])
    assert taken(setup) == []
