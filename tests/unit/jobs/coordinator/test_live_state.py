"""What is kept in memory: current, removed in time, and limited in size."""

from acestep_ray.jobs.coordinator.live_state import LiveState
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.records import JobRecord

HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)


def record(status: Status, attempt: int) -> JobRecord:
    return JobRecord(
        job_id="a",
        status=status,
        spec="{}",
        created_at=0.0,
        started_at=None,
        finished_at=None,
        place=1,
        position=0,
        attempt=attempt,
        starts=1,
        needs_plan=False,
        planner="",
        work=0.0,
        runner="r",
        plan=None,
        result=None,
        error=None,
        error_code=None,
    )


def test_progress_is_shown_of_the_running_attempt_only() -> None:
    live = LiveState()
    live.note("a", 2, HALF)
    assert live.progress(record(Status.RUNNING, 2)) == HALF
    assert live.progress(record(Status.RUNNING, 3)) is None
    assert live.progress(record(Status.QUEUED, 2)) is None
    assert live.progress(record(Status.SUCCEEDED, 2)) is None
    live.drop(["a", "b"])
    assert live.progress(record(Status.RUNNING, 2)) is None
    assert live.attempts() == []


def test_a_newer_attempt_replaces_an_older() -> None:
    live = LiveState()
    live.note("a", 1, HALF)
    assert (live.knows("a", 1), live.knows("a", 2)) == (True, False)
    live.note("a", 2, HALF)
    assert (live.knows("a", 1), live.knows("a", 2)) == (False, True)
    assert live.attempts() == [("a", 2)]


def test_a_runner_that_leaves_or_lapses_is_forgotten() -> None:
    live = LiveState()
    assert not live.has_runner(0)
    for runner in "ab":
        live.keep_alive(runner, 10)
    live.keep_alive("b", 5)  # a shorter time does not shorten its lease
    live.remove_runner("a")
    assert live.has_runner(10)
    live.forget_lapsed(10.1)
    assert not live.has_runner(0)
