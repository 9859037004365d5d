"""The processes that a command has started, also those whose parents have ended."""

import contextlib
import os
import time

import psutil

END_SECONDS = 30.0
"""Longest time that killed processes take to end: one that uses a GPU first frees its memory."""
POLL_SECONDS = 0.05


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def session_members(session: int) -> list[psutil.Process]:
    """The live processes of a session, and their descendants.

    A process whose parent has died gets another parent, but its session does not change.
    """
    alive = [
        process
        for process in psutil.process_iter(["ppid", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
    ]
    found = {process.pid for process in alive if _session_of(process.pid) == session}
    while below := {p.pid for p in alive if p.info["ppid"] in found} - found:
        found |= below
    return [process for process in alive if process.pid in found]


def kill_session(session: int, seconds: float = END_SECONDS) -> list[psutil.Process]:
    """kill -9 every process of it, also new ones. Returns what still lives after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (left := session_members(session)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(POLL_SECONDS)
    return left


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
