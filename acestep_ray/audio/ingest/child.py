"""The child process that reads a client's audio: its arguments, and the meaning of its exit."""

import asyncio
import importlib.util
import json
import logging
import math
import signal
import sys
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import Any, Literal

from acestep_ray.audio.ingest.sandbox import MOST_OUTPUT, Ended, run_confined
from acestep_ray.settings import Ingest

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("child_main.py")
NOWHERE = -1
BYTES_PER_SECOND = 192_000 * 2 * 3
"""The most bytes of FLAC per second: the child refuses audio with more than 384,000 samples per
second, and a sample has 24 bits."""

NOT_STORED = "The audio could not be stored: the storage is full."
Code = Literal[
    "not_audio", "empty", "truncated", "too_long", "too_complex", "unreadable", "too_large"
]


class AudioRejected(Exception):
    """The file is not audio that may be used. ``reason`` is one sentence for the client."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.reason = reason


async def run_child(order: dict[str, Any], file: int, out: int, limits: Ingest) -> Ended:
    """Run the child on ``file`` under ``limits``; its result is written to ``out``, or to NOWHERE.

    ``order``: as child_main.py documents it, without the limits and the library.
    """
    order |= {
        "out": out,
        "seconds": limits.seconds,
        "cpu": limits.cpu_seconds,
        "memory": limits.memory_bytes,
        "bytes": math.ceil(limits.seconds * BYTES_PER_SECOND * 1.02) + (1 << 20),
    }
    if "run" not in order:
        order["library"] = await asyncio.to_thread(libsndfile)
    # -S: without it, the packages installed in this environment would make each start slower than
    # all of the child's imports.
    command = [sys.executable, "-I", "-S", str(SCRIPT), json.dumps(order)]
    # On a busy machine one second of processor time may take two seconds.
    return await run_confined(
        command, file, [] if out == NOWHERE else [out], 2 * limits.cpu_seconds
    )


@cache
def libsndfile() -> str:
    """Path of the libsndfile in the package soundfile; if it has none, of the system's.

    Blocking. The search for the system's library starts programs; the child's limits forbid that.
    """
    package = importlib.util.find_spec("_soundfile_data")
    if package is not None and package.origin is not None:
        for path in Path(package.origin).parent.glob("libsndfile*.so"):
            return str(path)
    return find_library("sndfile") or "libsndfile.so.1"


def died(ended: Ended) -> AudioRejected:
    """The error that a client gets if the child returned no result."""
    logger.warning("A child that read audio ended with status %d.", ended.status)
    for_its_output = len(ended.output) > MOST_OUTPUT
    killed = ended.status in (-signal.SIGXCPU, -signal.SIGKILL)
    if killed and not for_its_output:
        return AudioRejected("too_complex", "Reading the audio takes too much time or memory.")
    return AudioRejected("unreadable", "The audio is cut off or damaged and cannot be read.")
