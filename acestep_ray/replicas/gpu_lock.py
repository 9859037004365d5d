"""One engine starts on a GPU at a time.

An engine reads a GPU's free memory when it starts (vLLM sizes its cache by it). Memory that another
engine is about to take must not be counted as free.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def gpu_start_lock(gpus: Sequence[str], folder: Path | None = None) -> Iterator[None]:
    """Wait for the locks of these GPUs of this machine, and hold them.

    They are locks of the operating system: they end with their process, however it dies.
    ``folder``: folder of the lock files; None: the folder for temporary files, which all replicas
    of a node share.
    """
    folder = folder or Path(tempfile.gettempdir())
    with ExitStack() as held:
        for gpu in sorted(
            gpus
        ):  # always in the same order, so that no two processes wait for each other
            held.enter_context(_lock(folder / f"acestep-ray-{os.getuid()}-card-{gpu}.lock"))
        yield


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Closing is not enough: processes that the engine has forked hold the file open, too.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
