"""One owner per database: an operating-system lock that ends with its process."""

import fcntl
import os
import time
from pathlib import Path

from acestep_ray.jobs.store.errors import StoreLocked

_POLL_SECONDS = 0.02


class OwnerLock:
    """An exclusive ``flock`` on ``path``, a file beside the database that is never removed.

    Waits up to ``wait`` seconds for the previous owner, then raises StoreLocked. The file contains
    the owner's process id, but only for people: only the lock counts.
    """

    def __init__(self, path: Path, wait: float) -> None:
        self._path = path
        # Python closes it in programs that this process starts, so none of them keeps the lock.
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(time.monotonic() + wait)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        except BaseException:
            os.close(self._fd)
            raise

    def _take(self, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    owner = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
                    raise StoreLocked(
                        f"The job store {self._path.with_suffix('')} is in use by another process"
                        f" ({owner or 'unknown'}); stop it first, or use another data folder."
                    ) from None
            time.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Release the lock."""
        os.close(self._fd)
