"""A SQLite store that counts its calls, and waits or fails when a test needs it."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from acestep_ray.jobs.store.operations import Op
from acestep_ray.jobs.store.protocol import JobStore, Peers
from acestep_ray.jobs.store.records import JobChange
from acestep_ray.jobs.store.sqlite import SqliteStore


class GatedStore:
    """JobStore. ``gate``: batches wait while it is not set; ``fault`` may raise before a batch."""

    def __init__(self, path: Path) -> None:
        self._store: JobStore = SqliteStore(path, lock_wait=5, busy_wait=0.01)
        self.batches: list[list[Op]] = []
        self.threads: set[int] = {threading.get_ident()}
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        self.fault: Callable[[Sequence[Op]], None] = lambda batch: None

    def apply(self, batch: Sequence[Op], now: float) -> list[object]:
        """See JobStore."""
        self.threads.add(threading.get_ident())
        self.waiting.set()
        assert self.gate.wait(60)
        self.fault(batch)
        answers = self._store.apply(batch, now)
        self.batches.append(list(batch))
        return answers

    def take_changes(self) -> list[JobChange]:
        """See JobStore."""
        return self._store.take_changes()

    def peers(self) -> Peers | None:
        """See JobStore."""
        return self._store.peers()

    def close(self) -> None:
        """See JobStore."""
        self.threads.add(threading.get_ident())
        self._store.close()
