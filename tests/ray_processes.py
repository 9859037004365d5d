"""The processes of Ray nodes that a test starts itself (``ray.cluster_utils.Cluster``)."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import services


@contextmanager
def waited_for() -> Iterator[None]:
    """Waits, at the end, for every process of Ray that was started inside.

    A Cluster kills the processes of its nodes, and waits only a second for some of them. On a busy
    machine they then still run when the test is over, which Python reports in a later one. One that
    still runs after a minute is killed.
    """
    started: list[services.ConsolePopen] = []
    original = services.ConsolePopen

    class Listed(original):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    services.ConsolePopen = Listed  # type: ignore[misc]
    try:
        yield
    finally:
        services.ConsolePopen = original  # type: ignore[misc]
        for process in started:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
