"""How many jobs a replica holds: no fewer than keep its device at work, and no more."""

import pytest

from acestep_ray.decoder.jobs_in_hand import FIRST, HANDOVER_SECONDS, MOST, JobsInHand, JobTimes

MINUTE = 60 * 48_000 * 2 * 4
"""Bytes of a decoded take of a minute."""


def after_jobs(encoders: int, *jobs: JobTimes) -> int:
    in_hand = JobsInHand(encoders)
    for job in jobs:
        in_hand.record(job)
    return in_hand.number


@pytest.mark.parametrize(
    ("encoders", "device", "encoding", "takes", "minutes", "expected"),
    [
        # A device that is slow beside its encoders: one job on it, one that is encoded.
        (2, 20.0, 2.0, 2, 1, 2),
        (2, 2.2, 2.0, 2, 1, 2),
        (2, 2.0, 2.0, 2, 1, 3),
        # Half a second a job, two takes of 60 s as MP3, two core-seconds each.
        (8, 0.5, 2.0, 2, 1, 6),
        # The same with two cores: the encoders are the limit, and more jobs would only wait.
        (2, 0.5, 4.0, 2, 1, 3),
        (4, 0.5, 3.0, 2, 1, 4),
        # No time on the device: a mock.
        (2, 0.0, 0.1, 2, 1, 3),
        # Many cores, and no more jobs than Serve gives.
        (64, 0.1, 5.0, 1, 1, MOST),
        # Eight takes of ten minutes have 1.8 GB: one job is encoded, and one is on the device.
        (16, 0.5, 9.0, 8, 10, 2),
        (16, 0.5, 9.0, 4, 10, 3),
    ],
)
def test_the_number_of_jobs(
    encoders: int, device: float, encoding: float, takes: int, minutes: int, expected: int
) -> None:
    job = JobTimes(device, encoding, 0, takes, takes * minutes * MINUTE)
    assert after_jobs(encoders, job) == expected


def test_a_new_replica_and_one_whose_jobs_change() -> None:
    assert after_jobs(8) == FIRST
    slow, fast = JobTimes(20.0, 2.0, 0, 2, 2 * MINUTE), JobTimes(0.5, 2.0, 0, 2, 2 * MINUTE)
    assert after_jobs(8, *[fast] * 8, *[slow] * 8) == 2
    assert after_jobs(8, *[slow] * 8, *[fast] * 8) == 6


def test_jobs_that_wait_for_a_slow_storage_use_no_encoder() -> None:
    """Two takes a job, four encoders: two jobs are encoded; those before them are being stored."""
    assert after_jobs(4, JobTimes(0.5, 1.0, 0.0, 2, 2 * MINUTE)) == 4
    assert after_jobs(4, JobTimes(0.5, 1.0, 2.0, 2, 2 * MINUTE)) == 8


def test_a_change_is_made_known_and_nothing_else() -> None:
    in_hand = JobsInHand(8)
    seen: list[int] = []
    in_hand.on_change = lambda: seen.append(in_hand.number)
    for device in (20.0, 20.0, *[0.5] * 8):
        in_hand.record(JobTimes(device, 2.0, 0.0, 2, 2 * MINUTE))
    assert seen == sorted(set(seen))
    assert seen
    assert FIRST not in seen


def idle_share(places: int, encoders: int, device: float, encoding: float, takes: int) -> float:
    """Share of the time for which the device is idle between jobs, by a simulation of 400 jobs.

    ``encoding``: seconds per take. A place is free when all takes of a job are encoded; another
    job is there HANDOVER_SECONDS later.
    """
    free_encoders = [0.0] * encoders
    places_free = [0.0] * places
    device_free, idle, busy = 0.0, 0.0, 0.0
    for number in range(400):
        there = places_free.pop(places_free.index(min(places_free))) + HANDOVER_SECONDS
        begins = max(device_free, there)
        if number >= 100:  # the beginning is no steady state
            idle += begins - device_free
            busy += device
        device_free = begins + device
        ends = []
        for _ in range(takes):
            encoder = free_encoders.index(min(free_encoders))
            free_encoders[encoder] = max(free_encoders[encoder], device_free) + encoding
            ends.append(free_encoders[encoder])
        places_free.append(max(ends))
    return idle / (idle + busy)


@pytest.mark.parametrize("device", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("encoding", [0.2, 2.0, 5.0])
@pytest.mark.parametrize("takes", [1, 2, 4])
def test_the_device_does_not_wait_with_that_number_and_does_with_fewer(
    device: float, encoding: float, takes: int
) -> None:
    encoders = min(64, 2 * round(takes * encoding / device + 1))
    job = JobTimes(device, encoding, 0, takes, takes * MINUTE)
    number = after_jobs(encoders, job)
    if number == MOST:
        pytest.fail("this case is limited by Serve")
    assert idle_share(number, encoders, device, encoding, takes) < 0.05
    if number > FIRST:
        assert idle_share(number - 2, encoders, device, encoding, takes) > 0.05


@pytest.mark.parametrize(("encoders", "takes"), [(2, 2), (4, 2), (2, 1), (4, 4)])
def test_with_too_few_cores_more_places_would_not_help(encoders: int, takes: int) -> None:
    """The device then waits for cores, whatever is in hand."""
    device, encoding = 0.2, 4.0
    job = JobTimes(device, 2 * encoding, 0, takes, takes * MINUTE)
    number = after_jobs(encoders, job)
    idle = idle_share(number, encoders, device, encoding, takes)
    assert idle > 0.5
    assert idle_share(MOST, encoders, device, encoding, takes) > 0.95 * idle
