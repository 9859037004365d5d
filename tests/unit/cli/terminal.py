"""A command on a terminal of its own, and the person before it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.service import until
from tests.unit.cli.commands import COMMAND

_TAKES_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """The command's three streams are the terminal, so Ctrl-C reaches it as from a keyboard."""

    def __init__(self, *words: object, folder: Path, env: Mapping[str, str]) -> None:
        self._keyboard, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKES_TERMINAL, *COMMAND, *map(str, words)],
            cwd=folder,
            env={**env, "TERM": "xterm-256color", "COLUMNS": "160"},
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )
        os.close(screen)
        self._shown = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._keyboard)

    @property
    def text(self) -> str:
        """Everything that it has shown, without colours and movements."""
        return _ESCAPES.sub("", self._shown.decode(errors="replace"))

    def until(self, words: str) -> None:
        """Wait until it has shown these words."""
        until(lambda: words in self.text, f"{words!r} was not shown")

    def type(self, keys: str) -> None:
        """Press keys; ``\\x03`` is Ctrl-C."""
        os.write(self._keyboard, keys.encode())

    def status(self) -> int:
        """Wait for its end; its exit status."""
        until(lambda: self.process.poll() is not None, "the command did not end")
        self._reader.join()
        assert self.process.returncode is not None
        return self.process.returncode

    def _read(self) -> None:
        try:
            while data := os.read(self._keyboard, 65536):
                self._shown += data
        except OSError:  # the last process that had the terminal has ended
            pass
