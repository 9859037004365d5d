"""What runners report: current, forgotten in time, and never more than there is to know."""

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.reports import Reports
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import Capacity
from acestep_ray.jobs.store.protocol import JobRecord

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
    reports = Reports()
    reports.note("a", 2, HALF)
    assert reports.progress(record(Status.RUNNING, 2)) == HALF
    assert reports.progress(record(Status.RUNNING, 3)) is None
    assert reports.progress(record(Status.QUEUED, 2)) is None
    assert reports.progress(record(Status.SUCCEEDED, 2)) is None
    reports.drop(["a", "b"])
    assert reports.progress(record(Status.RUNNING, 2)) is None
    assert reports.attempts() == []


def test_a_newer_attempt_replaces_an_older() -> None:
    reports = Reports()
    reports.note("a", 1, HALF)
    assert (reports.knows("a", 1), reports.knows("a", 2)) == (True, False)
    reports.note("a", 2, HALF)
    assert (reports.knows("a", 1), reports.knows("a", 2)) == (False, True)
    assert reports.attempts() == [("a", 2)]


def test_capacity_is_the_most_that_any_live_runner_saw() -> None:
    reports = Reports()
    assert reports.capacity(0) == Capacity()
    reports.keep_alive("r", 10)
    reports.note_capacity("r", Capacity(1, 2, 4, 2))
    reports.keep_alive("new", 20)
    reports.note_capacity("new", Capacity())
    assert reports.capacity(5) == Capacity(1, 2, 4, 2)
    reports.note_capacity("r", Capacity(0, 1, 0, 1))
    assert reports.capacity(5) == Capacity(0, 1, 0, 1)
    assert reports.capacity(11) == Capacity()


def test_a_runner_that_leaves_or_lapses_is_forgotten() -> None:
    reports = Reports()
    for runner in "ab":
        reports.keep_alive(runner, 10)
        reports.note_capacity(runner, Capacity(1, 1, 1, 1))
    reports.keep_alive("b", 5)  # a shorter word does not shorten its life
    reports.goodbye("a")
    assert reports.capacity(10) == Capacity(1, 1, 1, 1)
    reports.forget_lapsed(10.1)
    assert reports.capacity(0) == Capacity()
