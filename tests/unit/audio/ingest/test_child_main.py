"""A file may take over the child that reads it: then the child must not be able to do anything."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acestep_ray.artifacts.errors import StorageFull
from acestep_ray.audio.ingest import child
from acestep_ray.audio.ingest.child import SCRIPT, AudioRejected
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.settings import Ingest

Make = Callable[..., Path]
Fake = Callable[[str], None]

LIMITS = Ingest()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """``fake(script)`` runs that script in place of the child."""

    def replace(script: str) -> None:
        (tmp_path / "child.py").write_text(script)
        monkeypatch.setattr(child, "SCRIPT", tmp_path / "child.py")

    return replace


async def _refusal(source: Path, out: Path, limits: Ingest = LIMITS) -> str:
    with pytest.raises(AudioRejected) as caught:
        await ingest(source, out, limits)
    assert not out.exists()
    return caught.value.code


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("import os; os.abort()", "unreadable"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "unreadable"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "too_complex"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "too_complex"),
        ("raise SystemExit(1)", "unreadable"),
        ("", "unreadable"),
        ("print('not json')", "unreadable"),
        ("print('[1]')", "unreadable"),
        ('print(\'{"sample_rate": 48000, "channels": 2}\')', "unreadable"),
        ('print(\'{"sample_rate": 48000, "channels": 2, "samples": -1}\')', "unreadable"),
        ('print(\'{"code": "made_up", "reason": "x"}\')', "unreadable"),
        ('print(\'{"code": "empty", "reason": "\' + "x" * 1000 + \'"}\')', "unreadable"),
        ("while True: print('x' * 4000)", "unreadable"),
    ],
)
async def test_whatever_becomes_of_it_is_a_refusal(
    script: str, code: str, fake: Fake, make: Make, out: Path
) -> None:
    fake(script)
    assert await _refusal(make("a.wav"), out) == code


async def test_it_is_stopped_when_it_hangs(fake: Fake, make: Make, out: Path) -> None:
    fake("import time; time.sleep(600)")
    started = time.monotonic()
    limits = LIMITS.model_copy(update={"cpu_seconds": 0.2})
    assert await _refusal(make("a.wav"), out, limits) == "too_complex"
    assert time.monotonic() - started < 30


def test_the_libsndfile_that_soundfile_brings_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """soundfile, which writes our takes, uses it, too: both read and write alike."""
    package = tmp_path / "_soundfile_data"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "libsndfile_x86_64.so").touch()
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert child.libsndfile.__wrapped__() == str(package / "libsndfile_x86_64.so")


CONFINED = f"""
import ctypes, errno, json, os, resource, runpy, socket, sys
child = runpy.run_path({str(SCRIPT)!r})
order = json.loads(sys.argv[1])
child["confine"](order)
"""


def _confined(
    order: dict[str, Any], script: str, *passed: int
) -> "subprocess.CompletedProcess[str]":
    """Run a script that confines itself first, as the child does."""
    whole = {"out": 0, "seconds": 600.0, "cpu": 60.0, "memory": 2_000_000_000, "bytes": 10_000}
    return subprocess.run(
        [sys.executable, "-I", "-c", CONFINED + script, json.dumps(whole | order)],
        check=False,
        capture_output=True,
        text=True,
        pass_fds=passed,
        env={"OPENBLAS_NUM_THREADS": "1"},
    )


def test_processor_time_is_limited() -> None:
    started = time.monotonic()
    assert _confined({"cpu": 0.5}, "while True: pass").returncode == -signal.SIGXCPU
    assert time.monotonic() - started < 60


def test_it_can_open_no_file_and_no_socket_and_start_nothing(tmp_path: Path) -> None:
    script = """
for attempt in (
    lambda: open("/etc/passwd"),
    lambda: open(os.devnull, "w"),
    lambda: os.listdir("/"),
    lambda: socket.socket(),
    lambda: os.pipe(),
):
    try:
        attempt()
        print("done")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    with (tmp_path / "out").open("w+b") as out:
        printed = _confined({}, script, out.fileno()).stdout
    assert printed.split() == ["EMFILE"] * 5


def test_memory_file_size_core_and_privileges_are_limited(tmp_path: Path) -> None:
    script = """
try:
    bytearray(1_000_000_000)
except MemoryError:
    print("memory")
try:
    os.write(order["out"], b"x" * 10_000)
    os.write(order["out"], b"x")
except OSError:
    print("file")
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_CPU))
print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))
"""
    with (tmp_path / "out").open("w+b") as out:
        order = {"out": out.fileno(), "memory": 600_000_000}
        printed = _confined(order, script, out.fileno()).stdout
    assert printed.splitlines() == ["memory", "file", "(0, 0) (60, 61)", "1"]


async def test_the_least_memory_that_may_be_set_suffices(make: Make, out: Path) -> None:
    limits = LIMITS.model_copy(update={"memory_bytes": 512_000_000})
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (500_000, 8)).astype(np.float32)
    for subtype in ("FLOAT", "PCM_24"):
        path = make("a.wav", samples, 48_000, subtype=subtype)
        assert await ingest(path, out, limits) == Ingested(48_000, 8, 500_000)


async def test_cancelling_kills_it_and_leaves_nothing(
    fake: Fake, make: Make, tmp_path: Path, out: Path
) -> None:
    pid_file = tmp_path / "pid"
    fake(
        f"import os, time\nopen({str(pid_file)!r} + '.part', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid_file)!r} + '.part', {str(pid_file)!r})\ntime.sleep(600)"
    )
    running = asyncio.create_task(ingest(make("a.wav"), out, LIMITS))
    async with asyncio.timeout(30):
        while not pid_file.exists():
            await asyncio.sleep(0.01)
    assert out.exists()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not out.exists()
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


async def test_no_room_is_the_servers_fault(make: Make, tmp_path: Path) -> None:
    out = tmp_path / "out.flac"
    out.symlink_to("/dev/full")
    with pytest.raises(StorageFull) as caught:
        await ingest(make("a.wav"), out, LIMITS)
    assert str(caught.value) == "The audio could not be stored: the storage is full."
    assert not out.is_symlink()
