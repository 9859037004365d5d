"""The processes that a command has started, however their parents fared."""

import contextlib
import os
import time

import psutil

END_SECONDS = 30.0
"""How long killed processes may take to be gone: one that holds a GPU gives its memory back first.
"""
LOOK_SECONDS = 0.05


def lives(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def session_members(session: int) -> list[psutil.Process]:
    """What lives of a session and below it.

    A process whose parent has died has another one from then on, but its session is the same.
    """
    there = [
        process
        for process in psutil.process_iter(["ppid", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
    ]
    found = {process.pid for process in there if _session_of(process.pid) == session}
    while below := {p.pid for p in there if p.info["ppid"] in found} - found:
        found |= below
    return [process for process in there if process.pid in found]


def kill_session(session: int, seconds: float = END_SECONDS) -> list[psutil.Process]:
    """kill -9 all of it, also what is started meanwhile; answers what is left after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (left := session_members(session)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(LOOK_SECONDS)
    return left


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
