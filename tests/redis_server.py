"""A real redis-server for tests. Tests kill, pause and restart it."""

import atexit
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import redis

from tests.service import free_port, until


class RedisServer:
    """A separate process with its files in ``folder``. Listens on loopback only.

    Each write is on disk before it is acknowledged, unless ``options`` change that.
    """

    def __init__(self, folder: Path, **options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.options = {"appendonly": "yes", "appendfsync": "always", "save": "", **options}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """The URL, in the form of ACESTEP_STORE."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it has loaded its data."""
        self.begin()
        until(self.answers, f"{self.folder}/redis.log tells why redis-server does not answer")

    def begin(self) -> None:
        """Start it."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder)}
        words = [word for name, value in (options | self.options).items() for word in (name, value)]
        words[::2] = [f"--{name}" for name in words[::2]]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(["redis-server", *words], stdout=log, stderr=log)
        atexit.register(self.process.kill)  # if a test failed before it did this

    def answers(self) -> bool:
        """Whether it has loaded its data."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        try:
            return bool(self.do("PING"))
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def do(self, *words: Any) -> Any:
        """Its reply to a command."""
        password = self.options.get("requirepass")
        with redis.Redis(port=self.port, password=password, protocol=2) as client:
            return client.execute_command(*words)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Stop its replies, as behind a broken network; what is sent meanwhile waits for it."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it continue."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


def empty_redis() -> RedisServer:
    """A server for all tests of a session that do not damage it; its data is deleted."""
    server = _shared()
    server.do("FLUSHALL")
    return server


@functools.cache
def _shared() -> RedisServer:
    # Waiting for the disk is not the subject of these tests.
    server = RedisServer(Path(tempfile.mkdtemp(prefix="redis-")), appendfsync="no")
    server.start()
    return server


def leave_none() -> None:
    """End the shared server, if there is one."""
    if _shared.cache_info().currsize:
        _shared().kill()
        shutil.rmtree(_shared().folder)
        _shared.cache_clear()
