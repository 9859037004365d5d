"""The time left is an estimate of what is known, and unknown otherwise."""

import pytest

from acestep_ray.cli.time_left import TimeLeft, duration
from acestep_ray.client.models import JobState, Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def running(fraction: float, stage: str = "diffusion", attempts: int = 1) -> JobState:
    progress = Progress(stage=stage, fraction=fraction)
    return JobState(job_id="j", status="running", attempts=attempts, progress=progress)


def test_a_waiting_job_has_the_services_estimate_which_goes_down() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    assert left.seconds is None
    left.update(JobState(job_id="j", status="queued", eta_seconds=20))
    clock.now += 5
    assert left.seconds == 15
    clock.now += 50
    assert left.seconds == 0


def test_a_running_job_goes_on_as_fast_as_before() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left.update(running(0.1))
    assert left.seconds is None, "one state is not enough"
    clock.now += 10
    left.update(running(0.35))
    assert left.seconds == pytest.approx(26)


def test_what_a_job_waited_for_a_decoder_is_not_counted() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    for fraction, stage in ((0.1, "codes"), (0.4, "codes"), (0.4, "waiting"), (0.4, "waiting")):
        left.update(running(fraction, stage))
        clock.now += 60
    left.update(running(0.4))
    clock.now += 10
    left.update(running(0.6))
    assert left.seconds == pytest.approx(2 * (10 + 60), rel=0.01)


def test_a_job_that_lost_its_worker_begins_again() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left.update(running(0.1))
    clock.now += 10
    left.update(running(0.9))
    left.update(running(0.2, attempts=2))
    assert left.seconds is None
    clock.now += 10
    left.update(running(0.3, attempts=2))
    assert left.seconds == pytest.approx(70)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (11220, "3 h 07 min"),
    ],
)
def test_a_time_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
