"""Busy time. A share above 1, or a long job that shows only at its end, would mislead operators."""

from acestep_ray.busy_time import BusyTime


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_work_that_has_not_ended_counts_already() -> None:
    clock = Clock()
    busy = BusyTime(clock)
    with busy.working():
        clock.now += 7
        assert busy.take() == 7
        clock.now += 2
    clock.now += 50
    assert busy.take() == 2
    assert busy.take() == 0


def test_two_pieces_of_work_at_a_time_count_once() -> None:
    clock = Clock()
    busy = BusyTime(clock)
    with busy.working():
        clock.now += 1
        with busy.working():
            clock.now += 1
        clock.now += 1
    assert busy.take() == 3


def test_work_that_fails_has_ended() -> None:
    clock = Clock()
    busy = BusyTime(clock)
    try:
        with busy.working():
            clock.now += 1
            raise ValueError
    except ValueError:
        clock.now += 10
    assert busy.take() == 1
