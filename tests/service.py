"""A real service for tests: ``acestep-ray serve`` in its own processes, used over HTTP only."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from tests import progress

ROOT = Path(__file__).parent.parent
CLI = Path(sys.executable).with_name("acestep-ray")
PATIENCE = 120.0
"""Seconds without progress after which a wait fails."""
STARTING_SECONDS = 3.0
"""Of processor time, which a service that starts uses every now and then."""
LOOK_EVERY = 2.0
"""Seconds between two checks for progress."""


PORTS = range(20_000, 32_768)
"""Ports on which tests listen: above the ports of Ray's workers (10002 to 19999), below those that
Linux gives to programs that ask for any port (32768 to 60999), which may be taken before use."""


def free_port() -> int:
    """A TCP port of loopback on which no process listens."""
    while True:
        port = random.SystemRandom().choice(PORTS)  # independent of seeds set by tests
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a condition and return its value.

    Fails with ``what`` if there is no progress for ``patience`` seconds (tests/progress.py).
    """
    seen = None
    moved_at = looked_at = time.monotonic()
    pause = 0.05
    while not (found := condition()):
        now = time.monotonic()
        if now - looked_at > LOOK_EVERY:
            signs = progress.signs()
            if signs != seen:
                seen, moved_at = signs, now
            elif now - moved_at > patience:
                raise AssertionError(f"{what}; nothing has moved for {patience:g} s")
            looked_at = time.monotonic()
        time.sleep(pause)
        pause = min(0.25, 1.2 * pause)  # frequent checks must not slow down slow work
    return found


class Service:
    """One running service."""

    def __init__(self, data: Path, env: Mapping[str, str], config: Mapping[str, Any]) -> None:
        self.data = data
        self.port = free_port()
        self.metrics_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self.environment = {
            **{name: value for name, value in os.environ.items() if "ACESTEP" not in name},
            "ACESTEP_DATA": str(data),
            "ACESTEP_PORT": str(self.port),
            "ACESTEP_METRICS_PORT": str(self.metrics_port),
            "ACESTEP_DASHBOARD": "false",  # a start then takes a fifth less processor time
            **env,
        }
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}.log"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        progress.watched.add(self.signs)
        file = self.data.parent / f"{self.data.name}.yaml"
        file.write_text(yaml.safe_dump(dict(self._config)))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [CLI, "serve", "--verbose", str(file)],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        try:
            until(self._ready, "the service did not become ready")
        except BaseException:
            why = f"the service did not start:\n{self.log.read_text()}\n{self._last_lines()}"
            self.stop()
            raise AssertionError(why) from None

    def _last_lines(self) -> str:
        """Its processes with the time that they have used, and the ends of Ray's own log files,
        which are deleted when it stops."""
        assert self._process is not None
        pids = [self._process.pid, *descendants(self._process.pid)]
        found = [
            f"{pid} {processor_seconds([pid]):.1f} s {command_line(pid)[:120]}" for pid in pids
        ]
        for file in self.ray_log_files():
            text = file.read_text(errors="replace")
            found += [f"--- {file.name}", text[-1500:]] if text else []
        return "\n".join(found)

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError("the service ended")
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def signs(self) -> object:
        """What can be observed of its progress; see tests/progress.py."""
        try:
            stats = self.http.get("/v1/stats")
            if stats.status_code == 200:
                running = self.http.get("/v1/jobs", params={"status": "running"})
                jobs = running.raise_for_status().json()["jobs"]
                figures = {name: one for name, one in stats.json().items() if name != "timestamp"}
                return figures, [(j["job_id"], j.get("attempts"), j.get("progress")) for j in jobs]
        except httpx.HTTPError:
            pass
        # It starts: on a busy machine it may write no line for minutes. Idle processes, as those of
        # a service that hangs, use less than this much time while the test is patient.
        used = self._process is not None and processor_seconds(descendants(self._process.pid))
        return self.log.stat().st_size if self.log.exists() else 0, used // STARTING_SECONDS

    def processes(self, title: str = "") -> list[int]:
        """Ids of this service's processes whose title (command line) contains ``title``."""
        assert self._process is not None
        return [
            pid
            for pid in descendants(self._process.pid)
            if title in command_line(pid) and pid != self._process.pid
        ]

    def log_files(self) -> list[Path]:
        """Everything that its processes log: what the terminal shows, and Ray's own files."""
        found = self.ray_log_files()
        assert found, "there are no log files"
        return [self.log, *found]

    def ray_log_files(self) -> list[Path]:
        """Ray's own log files."""
        assert self._process is not None
        folders = {
            line.partition("=")[2]
            for pid in descendants(self._process.pid)
            for line in environment_of(pid)
            if line.startswith("TMPDIR=")
        }
        found = [one for folder in folders for one in Path(folder).glob("ray/session_2*/logs/**/*")]
        return [one for one in found if one.is_file()]

    def kill(self, title: str) -> list[int]:
        """kill -9 every process with that title (at least one), and return their ids."""
        found: list[int] = until(
            lambda: self.processes(title), f"no process of the service is called {title!r}"
        )
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return found

    def kill_everything(self) -> None:
        """kill -9 all its processes at once, as a power cut would."""
        assert self._process is not None
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    def stop(self) -> None:
        """Stop it as Ctrl-C does; remaining processes are killed."""
        progress.watched.discard(self.signs)
        if self._process is None:
            return
        left = descendants(self._process.pid)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    def submit(self, **fields: Any) -> str:
        """Submit a job by JSON and return its id."""
        answer = self.http.post("/v1/music/generate", json=fields)
        assert answer.status_code == 200, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """Poll a job once."""
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def finish(self, job_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Poll a job to its end."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in ("succeeded", "failed") else None

        job: dict[str, Any] = until(ended, f"job {job_id} did not end", patience)
        return job

    def make(self, **fields: Any) -> dict[str, Any]:
        """Submit a job and poll it to success."""
        job = self.finish(self.submit(**fields))
        assert job["status"] == "succeeded", job
        return job


@contextmanager
def running(
    data: Path,
    env: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Iterator[Service]:
    """A service that is ready, and is stopped afterwards."""
    data.mkdir(parents=True, exist_ok=True)
    document = config or yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    service = Service(data, env or {}, document)
    service.start()
    try:
        yield service
    finally:
        service.http.close()
        service.stop()


def command_line(pid: int) -> str:
    """Title of a process; empty if it no longer exists."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def environment_of(pid: int) -> list[str]:
    """Environment of a process, as NAME=VALUE; empty if it no longer exists."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def processor_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes; those that have ended have none."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def descendants(pid: int) -> list[int]:
    """Processes below ``pid``, children before grandchildren."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    todo = [pid]
    while todo:
        below = children.get(todo.pop(0), [])
        found += below
        todo += below
    return found
