"""One engine starts on a card at a time.

An engine looks at a card's free memory when it starts (vLLM takes its cache by that look), and
must not see what another is only about to take.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def starting_alone(cards: Sequence[str], folder: Path | None = None) -> Iterator[None]:
    """Hold the locks of these cards of this machine, once nobody else does.

    The operating system's locks: they end with their process, however it dies. ``folder``: where
    the files lie; None: the folder for temporary files, which all replicas of a node share.
    """
    folder = folder or Path(tempfile.gettempdir())
    with ExitStack() as held:
        for card in sorted(cards):  # in one order, so that no two wait for each other
            held.enter_context(_lock(folder / f"acestep-ray-{os.getuid()}-card-{card}.lock"))
        yield


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Not only closed: processes that the engine has forked meanwhile hold the file open, too.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
