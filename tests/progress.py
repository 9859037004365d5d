"""Whether anything moves in what the tests have started, as far as it can be seen from outside.

A wait that goes on while it does gives a busy machine the time that it needs, and still ends where
a test waits for what will never be.
"""

from collections.abc import Callable

import psutil

watched: set[Callable[[], object]] = set()
"""Each answers what is to be seen of one running service."""


def signs() -> object:
    """All that is to be seen now: as long as it stays the same, nothing moves."""
    processes = {child.pid for child in psutil.Process().children(recursive=True)}
    return processes, [look() for look in watched]
