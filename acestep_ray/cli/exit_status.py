"""What the exit status of a command means. Scripts rely on it: numbers are added, never changed."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """The same list is in docs/cli.md."""

    OK = 0
    FAILED = 1
    REFUSED = 2
    UNREACHABLE = 3
    KEY_REFUSED = 4
    NOT_FOUND = 5
    QUEUE_FULL = 6
    INTERRUPTED = 130
