"""A service with mock engines in a process of its own, so that it can be killed and started again.

python -m tests.e2e.studio.restarted_service DATA PORT STEP_SECONDS API_KEY
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.one_process import one_process
from tests.service import ROOT, free_port, until


class RestartedService:
    """The process at ``url``, with the same data and port at every start."""

    def __init__(self, data: Path, step_seconds: float) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            *(sys.executable, "-m", "tests.e2e.studio.restarted_service"),
            *(str(data), str(self.port), str(step_seconds)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, api_key: str = "") -> None:
        """Start it, with or without a key, and wait until it accepts requests."""
        process = subprocess.Popen([*self._command, api_key], cwd=ROOT)
        self._process = process

        def answers() -> bool:
            assert process.poll() is None, "the service ended"
            try:
                return httpx.get(f"{self.url}/ready").status_code == 200
            except httpx.TransportError:
                return False

        until(answers, "the service did not start")

    def kill(self) -> None:
        """End it without a warning."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def restarted_service(data: Path, step_seconds: float) -> Iterator[RestartedService]:
    """A running one."""
    service = RestartedService(data, step_seconds)
    try:
        service.start()
        yield service
    finally:
        service.kill()


def main(data: str, port: str, step_seconds: str, api_key: str) -> None:
    """Run it until the process is killed."""
    mock, jobs = {"step_seconds": float(step_seconds)}, {"lease_seconds": 1}
    key = api_key or None
    with one_process(port=int(port), data=Path(data), mock=mock, jobs=jobs, api_key=key):
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
