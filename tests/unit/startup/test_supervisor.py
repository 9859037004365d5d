"""What `acestep-ray serve` does when its Ray node dies, with real processes and no Ray.

What would break for whom: a service that is down for ever although its command still runs, two Ray
nodes that compete for a port, a GPU and a database, or a Ctrl-C that leaves processes behind.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from acestep_ray.startup import supervisor
from acestep_ray.startup.log_filter import LaunchLog
from acestep_ray.startup.process_tree import lives, session_members
from acestep_ray.startup.ray_node import RayNode, folder_for_sockets
from tests.service import ROOT, free_port, until

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Supervised:
    """The program of supervised.py, and its output."""

    def __init__(self, folder: Path, stderr: int | None = None, **config: Any) -> None:
        document = {"port": free_port(), **config.pop("document", {})}
        file = folder / "supervised.json"
        file.write_text(json.dumps({"document": document, **config}))
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.startup.supervised", str(file)],
                cwd=ROOT,
                stderr=log if stderr is None else stderr,
                start_new_session=True,
            )

    def shown(self) -> str:
        return self._log.read_text()

    def until_shown(self, words: str, times: int = 1) -> None:
        until(
            lambda: self.shown().count(words) >= times or self._ended(),
            f"{words!r} was not shown {times} times",
        )
        assert self.shown().count(words) >= times, self.shown()

    def until_ready(self, times: int = 1) -> "Supervised":
        self.until_shown("ready: ", times)
        return self

    def child(self) -> psutil.Process:
        """The `serve run` that runs now."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def part(self, name: str) -> psutil.Process:
        """One of its processes, by the name of its program."""
        alive = [p for p in self.child().children() if lives(p)]
        return next(p for p in alive if name in [Path(word).name for word in p.cmdline()])

    def ends(self) -> int:
        return self.process.wait(60)

    def _ended(self) -> bool:
        return self.process.poll() is not None


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Supervised] = []

    def start(**config: Any) -> Supervised:
        started.append(Supervised(tmp_path, **config))
        return started[-1]

    yield start
    for supervised in started:
        if supervised.process.poll() is None:
            supervised.process.terminate()
            supervised.process.wait(60)


def test_a_proxy_of_the_environment_is_not_asked(
    supervise: Callable[..., Supervised], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a company's network a proxy is set, and it does not know this machine's own addresses."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    supervise().until_ready()


@pytest.mark.parametrize(
    ("part", "reported"),
    [
        ("raylet", "Ray's raylet has died"),
        ("gcs_server", "Ray's GCS server has died"),
        ("serve run", "`serve run` has ended"),
    ],
)
def test_a_node_that_dies_is_started_anew(
    supervise: Callable[..., Supervised], part: str, reported: str
) -> None:
    supervised = supervise().until_ready()
    first = supervised.child()
    folder = Path(first.cmdline()[-1]).parent
    assert len(session_members(first.pid)) == 4
    (first if part == "serve run" else supervised.part(part)).kill()
    supervised.until_ready(times=2)
    line = f"acestep-ray: {reported}, and the service with it; starting again in 1 s; jobs"
    assert line in supervised.shown()
    # Its replica, which another process now has as a child, and its folder are gone, too.
    assert session_members(first.pid) == []
    assert not folder.exists()
    assert len(session_members(supervised.child().pid)) == 4


def test_a_node_that_keeps_dying_is_given_up(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(document={"dies_at": "/ready"}, restarts={"limit": 2})
    assert supervised.ends() == 1
    pauses = [line for line in supervised.shown().splitlines() if "starting again" in line]
    assert ["in 1 s" in pauses[0], "in 2 s" in pauses[1], len(pauses)] == [True, True, 2]
    last = supervised.shown().splitlines()[-1]
    assert last == (
        "acestep-ray: Ray's raylet has died, and the service with it; giving up after 3 times. "
        "Jobs that have not ended are kept."
    )


def test_without_restarts_the_first_death_is_the_end(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(document={"dies_at": "/ready"}, restarts={"limit": 0})
    assert supervised.ends() == 1
    assert "giving up. Jobs" in supervised.shown()


def test_a_time_of_health_ends_the_row(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(
        document={"dies_at": "/ready"}, restarts={"limit": 1, "healthy_seconds": 1e-9}
    )
    supervised.until_ready(times=4)
    assert "in 2 s" not in supervised.shown()


def test_a_first_start_that_fails_is_the_end(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(document={"ends": True, "prints": "no more room"})
    assert supervised.ends() == 1
    assert supervised.shown().splitlines()[-2:] == [
        "no more room",
        "acestep-ray: the application failed to start: `serve run` has ended; "
        "the lines above say why",
    ]


def test_a_sentence_of_ours_is_all_that_is_shown_of_a_failed_start(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(document={"starting": True, "prints": "SettingError: It is so."})
    assert supervised.ends() == 1
    assert supervised.shown().endswith("acestep-ray: the application failed to start: It is so.\n")


def test_a_node_that_dies_as_it_starts_is_started_anew(
    supervise: Callable[..., Supervised],
) -> None:
    """Ray's node dies so on a machine that is too busy."""
    supervised = supervise(document={"starting": True, "parts": ["raylet"]}, restarts={"limit": 2})
    for times in (1, 2, 3):
        supervised.until_shown("Ray is starting", times)
        until(lambda: len(session_members(supervised.child().pid)) == 3, "no raylet yet")
        supervised.part("raylet").kill()
        if times < 3:
            supervised.until_shown("starting again", times)
    assert supervised.ends() == 1
    shown = supervised.shown()
    assert "Ray's raylet has died, and the service with it; starting again in 1 s" in shown
    assert "giving up after 3 times" in shown and "failed to start" not in shown


def test_a_start_that_makes_no_progress_is_started_anew(
    supervise: Callable[..., Supervised],
) -> None:
    """Ray's processes live, and nothing more happens, for ever: on a machine that was too busy."""
    supervised = supervise(
        document={"starting": True},
        restarts={"limit": 1},
        constants={"HEALTH_EVERY": 0.1, "MOST_UNCHANGED": 5},
    )
    assert supervised.ends() == 1
    shown = supervised.shown()
    assert "Ray's start makes no progress, and the service with it; starting again in 1 s" in shown
    assert "Ray's start makes no progress, and the service with it; giving up" in shown


class SlowNode:
    """A node whose start goes on for 20 looks at it, and then stops."""

    def __init__(self) -> None:
        self.log = LaunchLog(verbose=False)
        self.looks = 0

    def death(self) -> None:
        """Nothing of it dies."""

    def signs(self) -> object:
        self.looks += 1
        return min(self.looks, 20)


def test_a_slow_start_is_left_alone_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HEALTH_EVERY": 0.0, "POLL_SECONDS": 0.0, "MOST_UNCHANGED": 3}.items():
        monkeypatch.setattr(supervisor, name, value)
    node = SlowNode()
    url = f"http://127.0.0.1:{free_port()}"
    assert supervisor._until_ready(cast(RayNode, node), url) == supervisor.NO_PROGRESS
    assert node.looks == 20 + 3


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["starting", "up", "in the pause"])
def test_a_signal_ends_it_at_each_moment(
    supervise: Callable[..., Supervised], number: signal.Signals, moment: str
) -> None:
    document: dict[str, Any] = {"starting": moment == "starting"}
    supervised = supervise(document=document)
    supervised.until_shown("Ray is starting" if moment == "starting" else "ready: ")
    child = supervised.child()
    if moment == "in the pause":
        child.kill()
        supervised.until_shown("starting again")
    for _ in range(2):  # like an impatient user
        supervised.process.send_signal(number)
    assert supervised.ends() == 0
    assert "stopping; jobs that have not ended are kept" in supervised.shown()
    assert session_members(child.pid) == []


def test_ctrl_c_ends_it_though_nobody_reads_what_it_shows(
    supervise: Callable[..., Supervised],
) -> None:
    """`make serve 2>&1 | tee log`: Ctrl-C ends tee first."""
    reader, writer = os.pipe()
    supervised = supervise(stderr=writer)
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert any("ready: " in line for line in lines)
    child = supervised.child()
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.ends() == 0
    assert session_members(child.pid) == []


def test_the_service_does_not_outlive_its_supervisor(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise().until_ready()
    child = supervised.child()
    processes = session_members(child.pid)
    supervised.process.kill()
    supervised.process.wait()
    until(lambda: not child.is_running() or child.status() == "zombie", "`serve run` goes on")
    for process in processes:  # Ray's processes end with `serve run`, these do not
        if process.is_running():
            process.kill()


QUICK = {"HEALTH_EVERY": 0.1, "MOST_UNANSWERED": 3}


def test_a_service_that_is_away_for_too_long_is_started_anew(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(document={"health": [200, 404]}, constants=QUICK)
    supervised.until_ready(times=2)
    assert "/health has not answered 3 times in a row, and the service" in supervised.shown()


def test_a_service_that_comes_back_is_left_alone(supervise: Callable[..., Supervised]) -> None:
    """A proxy or an ingress that was lost: Serve restarts it."""
    away = [503, 404, 200, 404, 404, 200] * 4
    supervised = supervise(document={"health": away, "dies_at": "/health"}, constants=QUICK)
    supervised.until_shown("starting again")
    assert "/health" not in supervised.shown()


def test_a_part_that_can_be_done_without_is_reported_once(
    supervise: Callable[..., Supervised],
) -> None:
    parts = ["gcs_server", "monitor.py", "dashboard.py", "log_monitor.py", "raylet"]
    supervised = supervise(document={"parts": parts}).until_ready()
    supervised.part("log_monitor.py").kill()
    supervised.until_shown("Ray's log monitor has died; the service goes on without it")
    supervised.part("dashboard.py").kill()
    supervised.until_shown("Ray's dashboard has died; the service goes on without it")
    supervised.part("raylet").kill()
    supervised.until_ready(times=2)
    assert supervised.shown().count("goes on without it") == 2


def test_it_has_a_ray_of_its_own_in_a_folder_where_sockets_fit(
    supervise: Callable[..., Supervised], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clusters' schedulers set a long TMPDIR, and people who use other Ray clusters RAY_ADDRESS."""
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("x" * 80)))
    (tmp_path / ("x" * 80)).mkdir()
    reported = tmp_path / "environment.json"
    supervise(document={"environment": str(reported)}).until_ready()
    environment = json.loads(reported.read_text())
    assert environment["RAY_ADDRESS"] == "local"
    folder = Path(environment["TMPDIR"])
    assert folder.parent == Path("/tmp")
    # Programs that clean /tmp of old files (systemd-tmpfiles) try this first, and keep the folder.
    descriptor = os.open(folder, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_a_short_folder_for_temporary_files_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    assert folder_for_sockets() == "/var/tmp"
