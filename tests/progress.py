"""Whether the processes that the tests have started make progress, as seen from outside.

A test waits as long as there is progress, so a busy machine gets the time that it needs, and a wait
for something that will never happen still ends.
"""

from collections.abc import Callable

import psutil

watched: set[Callable[[], object]] = set()
"""Each returns what can be observed of one running service."""


def signs() -> object:
    """Everything that can be observed now: as long as it does not change, there is no progress."""
    processes = {child.pid for child in psutil.Process().children(recursive=True)}
    return processes, [look() for look in watched]
