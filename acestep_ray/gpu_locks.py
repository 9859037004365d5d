"""Locks between the processes of one machine that use the same GPUs.

They are locks of the operating system: they end with their process, however it dies.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


class FileLock:
    """A lock that one process has, or several have at a time if all of them share it."""

    def __init__(self, file: Path) -> None:
        self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, *, shared: bool = False) -> None:
        """Wait for it."""
        fcntl.flock(self._handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_to_take(self) -> bool:
        """Take it if nobody has it; returns whether it was taken."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def free(self) -> bool:
        """Whether nobody has it now. Only for a process that has not taken it itself."""
        if not self.try_to_take():
            return False
        self.release()
        return True

    def release(self) -> None:
        """Let others have it."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release it, and close the file. Closing alone is not enough: processes that the engine
        has forked hold the file open, too."""
        self.release()
        os.close(self._handle)


def lock_files(gpus: Sequence[str], purpose: str, folder: Path | None = None) -> list[Path]:
    """One file for each GPU, always in the same order, so that no two processes wait for each
    other. ``folder``: None: the folder for temporary files, which all replicas of a node share."""
    folder = folder or Path(tempfile.gettempdir())
    return [folder / f"acestep-ray-{os.getuid()}-{purpose}-{gpu}.lock" for gpu in sorted(gpus)]


@contextmanager
def gpu_start_lock(gpus: Sequence[str], folder: Path | None = None) -> Iterator[None]:
    """Wait until no other engine starts on these GPUs, and hold their locks.

    An engine reads a GPU's free memory when it starts (vLLM sizes its cache by it). Memory that
    another engine is about to take must not be counted as free.
    """
    with ExitStack() as held:
        for file in lock_files(gpus, "start", folder):
            lock = FileLock(file)
            held.callback(lock.close)
            lock.take()
        yield
