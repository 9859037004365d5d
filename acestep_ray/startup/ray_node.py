"""One Ray node with the application on it: `serve run`, and every process that it starts."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from acestep_ray.startup.log_filter import LaunchLog
from acestep_ray.startup.process_tree import END_SECONDS, kill_session, lives, session_members

PARTS = {
    "gcs_server": "GCS server",
    "raylet": "raylet",
    "dashboard.py": "dashboard",
    "log_monitor.py": "log monitor",
    "monitor.py": "autoscaler's monitor",
}
"""Readable names of Ray's processes that `serve run` starts, by the names of their programs."""
VITAL = ("GCS server", "raylet")
"""Without one of these, a node cannot work. If one of its two agents dies, the raylet dies too, so
agents need no check. The raylet or Serve's controller starts every other process again."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_LONGEST_SOCKET = (
    "/acestep-serve-12345678/ray/session_2026-01-01_00-00-00_123456_1234567/sockets/plasma_store"
)
_SOCKET_BYTES = 107  # longest path of a socket; the kernel's limit


class RayNode:
    """Ray and the application in processes of their own. ``command`` runs a Serve config, whose
    file is its last argument; ``verbose`` shows everything that they log.

    It is started once and ended once. Used by one thread.
    """

    def __init__(
        self,
        command: Sequence[str],
        document: Mapping[str, Any],
        environment: Mapping[str, str],
        verbose: bool = False,
    ) -> None:
        self._command = command
        self._document = document
        self._environment = environment
        self._child: subprocess.Popen[str] | None = None
        self._folder: Path | None = None
        self._lock = -1
        self._parts: dict[str, psutil.Process] = {}
        self._lost: set[str] = set()
        self.log = LaunchLog(verbose)

    def start(self) -> None:
        """Start the processes. Raises OSError if their folder cannot be made."""
        # Also the replicas' folder for temporary files: a hard stop leaves some, and they are
        # removed with this folder.
        self._folder = Path(tempfile.mkdtemp(prefix="acestep-serve-", dir=folder_for_sockets()))
        # systemd-tmpfiles, which removes old files from /tmp, does not remove a locked folder.
        self._lock = os.open(self._folder, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        file = self._folder / "config.yaml"
        file.write_text(yaml.safe_dump(dict(self._document)))
        self._child = subprocess.Popen(
            [*self._command, str(file)],
            env={
                **self._environment,
                "TMPDIR": str(self._folder),
                "RAY_ADDRESS": "local",  # start a new Ray, even if another one runs
            },
            # Ctrl-C reaches only this process, and all processes are found by their session.
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  (no other thread runs then)
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(
            target=self.log.read, args=(self._child.stdout,), daemon=True
        )
        self._reader.start()

    def death(self) -> str | None:
        """Which vital part has died, as a part of a sentence; None while all of them live."""
        assert self._child is not None
        command = psutil.Process(self._child.pid)
        if not lives(command):
            return "`serve run` has ended"
        if not self._parts.keys() >= set(VITAL):
            programs = {_program(process): process for process in command.children()}
            self._parts |= {PARTS[name]: p for name, p in programs.items() if name in PARTS}
        dead = [part for part in VITAL if part in self._parts and not lives(self._parts[part])]
        return f"Ray's {dead[0]} has died" if dead else None

    def signs(self) -> object:
        """What changes while a start goes on: its processes, and how much they have logged."""
        assert self._child is not None
        return {process.pid for process in session_members(self._child.pid)}, self.log.lines

    def ray_died(self) -> bool:
        """Whether a vital part of Ray has died, and not the command that runs it."""
        assert self._child is not None
        dead = [part for part in VITAL if part in self._parts and not lives(self._parts[part])]
        return bool(dead) and lives(psutil.Process(self._child.pid))

    def lost(self) -> list[str]:
        """Other parts that have died since the last call; the node works without them."""
        dead = [p for p in self._parts if p not in VITAL and not lives(self._parts[p])]
        newly_dead = [part for part in dead if part not in self._lost]
        self._lost.update(newly_dead)
        return newly_dead

    def end(self) -> list[int]:
        """kill -9 every process, wait until they have ended, and show their last log lines.

        Nothing needs an orderly stop: everything that was confirmed to clients is on disk, and jobs
        that run now are run again, as after a power failure. Returns the ids of processes that do
        not end.
        """
        if self._folder is None:  # not started, or ended already
            return []
        left = []
        if self._child is not None:
            left = [process.pid for process in kill_session(self._child.pid)]
            with contextlib.suppress(subprocess.TimeoutExpired):  # `serve run` itself may be left
                self._child.wait(1)
            self._reader.join(END_SECONDS if not left else 1)
        if self._lock >= 0:
            os.close(self._lock)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        return left


def folder_for_sockets() -> str:
    """The folder for temporary files, if its path is short enough for Ray's sockets, else /tmp."""
    folder = tempfile.gettempdir()
    fits = len(os.fsencode(folder)) + len(_LONGEST_SOCKET) <= _SOCKET_BYTES
    return folder if fits else "/tmp"


def _end_with_parent() -> None:
    """In the child: let it end with the parent. Ray's processes then end with the child."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _program(process: psutil.Process) -> str:
    """Name of the program that a process runs; for Python, name of its script."""
    try:
        names = [Path(part).name for part in process.cmdline() if not part.startswith("-")]
        return next((name for name in names if not name.startswith("python")), "")
    except psutil.ZombieProcess:
        return process.name()
    except psutil.NoSuchProcess:
        return ""
