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
                    raise StoreLocked(in_use(self._path.with_suffix(""), owner)) from None
            time.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Release the lock."""
        os.close(self._fd)


def lock_file(database: Path) -> Path:
    """The lock file of a database."""
    return database.with_name(database.name + ".lock")


def owner_of(database: Path) -> int | None:
    """Id of the process that holds the lock of a database; None: no process that can be seen from
    this one. Takes no lock."""
    file = lock_file(database)
    try:
        entry, written = file.stat(), file.read_text().strip()
        locks = Path("/proc/locks").read_text().splitlines()
    except (OSError, ValueError):
        return None
    device = f"{os.major(entry.st_dev):02x}:{os.minor(entry.st_dev):02x}"
    for line in locks:  # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:131075 0 EOF
        _, *words = line.split()
        if len(words) < 5 or words[0] != "FLOCK":
            continue
        owner, (on, _, inode) = words[3], words[4].rpartition(":")
        # Some file systems (btrfs) have another number there than in their entries.
        if inode == str(entry.st_ino) and (on == device or owner == written):
            return int(owner)
    return None


def in_use(database: Path, owner: str) -> str:
    """The message about a database whose lock the process ``owner`` holds; empty: unknown."""
    return (
        f"The job store {database} is in use by another process ({owner or 'unknown'}); stop it"
        " first, or use another data folder."
    )
