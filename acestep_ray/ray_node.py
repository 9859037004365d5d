"""One Ray node with the application on it: `serve run`, and all that it starts."""

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

from acestep_ray.launch_log import LaunchLog
from acestep_ray.process_tree import END_SECONDS, kill_session, lives

PARTS = {
    "gcs_server": "GCS server",
    "raylet": "raylet",
    "dashboard.py": "dashboard",
    "log_monitor.py": "log monitor",
    "monitor.py": "autoscaler's monitor",
}
"""Ray's own processes that `serve run` starts, by the name of their program."""
VITAL = ("GCS server", "raylet")
"""A node does not outlive these. Its two agents take the raylet with them, so they need no watch,
and whatever else dies the raylet or Serve's controller starts again."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_LONGEST_SOCKET = (
    "/acestep-serve-12345678/ray/session_2026-01-01_00-00-00_123456_1234567/sockets/plasma_store"
)
_SOCKET_BYTES = 107  # of a path; the kernel's limit


class RayNode:
    """Ray and the application in processes of their own. ``command`` runs a Serve config, whose
    file is its last argument; ``verbose`` shows all that they log.

    It is started once and ended once. Belongs to one thread.
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
        """Start the processes. Raises OSError where there is no folder for them."""
        # Also the replicas' folder for temporary files: a hard stop leaves some, and this goes.
        self._folder = Path(tempfile.mkdtemp(prefix="acestep-serve-", dir=folder_for_sockets()))
        # Who cleans /tmp of what is old (systemd-tmpfiles) leaves a locked folder alone.
        self._lock = os.open(self._folder, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        file = self._folder / "config.yaml"
        file.write_text(yaml.safe_dump(dict(self._document)))
        self._child = subprocess.Popen(
            [*self._command, str(file)],
            env={
                **self._environment,
                "TMPDIR": str(self._folder),
                "RAY_ADDRESS": "local",  # a Ray of its own, whatever runs elsewhere
            },
            # Ctrl-C is for us alone, and all processes are known by their session.
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
        """What of it has died so that it cannot go on, in a few words; None while it lives."""
        assert self._child is not None
        command = psutil.Process(self._child.pid)
        if not lives(command):
            return "`serve run` has ended"
        if not self._parts.keys() >= set(VITAL):
            programs = {_program(process): process for process in command.children()}
            self._parts |= {PARTS[name]: p for name, p in programs.items() if name in PARTS}
        dead = [part for part in VITAL if part in self._parts and not lives(self._parts[part])]
        return f"Ray's {dead[0]} has died" if dead else None

    def lost(self) -> list[str]:
        """Parts that have died since this was last asked, and that it goes on without."""
        dead = [p for p in self._parts if p not in VITAL and not lives(self._parts[p])]
        news = [part for part in dead if part not in self._lost]
        self._lost.update(news)
        return news

    def end(self) -> list[int]:
        """kill -9 every process, wait until they are gone, and show what they said last.

        Nothing needs to be put in order first: what was answered is on disk, and jobs that run now
        are run again, just as after a power cut. Answers the ids of processes that do not end.
        """
        if self._folder is None:  # not started, or ended already
            return []
        left = []
        if self._child is not None:
            left = [process.pid for process in kill_session(self._child.pid)]
            with contextlib.suppress(subprocess.TimeoutExpired):  # it is one of those left
                self._child.wait(1)
            self._reader.join(END_SECONDS if not left else 1)
        if self._lock >= 0:
            os.close(self._lock)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        return left


def folder_for_sockets() -> str:
    """The folder for temporary files, if Ray's sockets can lie there, else /tmp."""
    folder = tempfile.gettempdir()
    fits = len(os.fsencode(folder)) + len(_LONGEST_SOCKET) <= _SOCKET_BYTES
    return folder if fits else "/tmp"


def _end_with_parent() -> None:
    """In the child: die with the one that watches it. Ray's own processes do so with it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _program(process: psutil.Process) -> str:
    """Name of what a process runs; for Python that of its script."""
    try:
        words = [Path(word).name for word in process.cmdline() if not word.startswith("-")]
        return next((word for word in words if not word.startswith("python")), "")
    except psutil.ZombieProcess:
        return process.name()
    except psutil.NoSuchProcess:
        return ""
