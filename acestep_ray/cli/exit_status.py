"""What the exit status of a command means. Scripts rely on it: numbers are added, never changed."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """docs/cli.md has the same list."""

    OK = 0
    FAILED = 1
    """The job failed or was cancelled; a song of a batch did; the doctor found a problem."""
    REFUSED = 2
    """An option or a field is wrong, or what was asked for is not possible."""
    UNREACHABLE = 3
    """The service cannot be reached, is not ready, or failed unexpectedly."""
    KEY_REFUSED = 4
    NOT_FOUND = 5
    """There is no such job, or it is no longer kept."""
    QUEUE_FULL = 6
    INTERRUPTED = 130
    TERMINATED = 143
