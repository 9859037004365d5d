"""A program that reads untrusted data must end, print little, see nothing, and leave no process."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from acestep_ray.audio.ingest.sandbox import MOST_OUTPUT, Ended, run_confined


async def _run(script: str, seconds: float = 60.0, passed: tuple[int, ...] = ()) -> Ended:
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        return await run_confined([sys.executable, "-I", "-c", script], null, passed, seconds)
    finally:
        os.close(null)


async def _dead(pid: int) -> None:
    """Wait until it has ended, or only waits to be reaped by its new parent."""
    async with asyncio.timeout(10):
        while True:
            try:
                status = Path(f"/proc/{pid}/stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                return
            if status.rsplit(")", 1)[1].split()[0] == "Z":
                return
            await asyncio.sleep(0.01)


async def test_what_it_says_and_how_it_ends() -> None:
    assert await _run("print('hello')") == Ended(0, b"hello\n", False)
    assert await _run("raise SystemExit(3)") == Ended(3, b"", False)
    assert await _run("import os; os.abort()") == Ended(-6, b"", False)


async def test_it_is_stopped_at_its_time() -> None:
    started = time.monotonic()
    ended = await _run("import time; print('here', flush=True); time.sleep(600)", 0.5)
    assert ended == Ended(-9, b"here\n", True)
    assert time.monotonic() - started < 30


async def test_closing_its_output_does_not_set_it_free() -> None:
    ended = await _run("import os, time; os.close(1); time.sleep(600)", 0.5)
    assert ended == Ended(-9, b"", True)


async def test_endless_output_is_not_collected() -> None:
    ended = await _run("while True: print('x' * 4000)")
    assert ended.stopped
    assert len(ended.output) <= MOST_OUTPUT + 4096


async def test_its_complaints_go_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    await _run("import sys; sys.stderr.write('a decoder warns')")
    assert capfd.readouterr() == ("", "")


async def test_it_learns_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_API_KEY", "the-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-key")
    ended = await _run("import os; print(dict(os.environ))")
    assert b"PATH" in ended.output
    assert b"the-key" not in ended.output


async def test_it_gets_the_descriptors_it_is_given_and_no_others(tmp_path: Path) -> None:
    with (tmp_path / "given").open("w+b") as given, (tmp_path / "kept").open("w+b") as kept:
        os.set_inheritable(kept.fileno(), True)
        script = (
            "import os\n"
            f"os.write({given.fileno()}, b'here')\n"
            f"try: os.fstat({kept.fileno()})\n"
            "except OSError: print('closed')\n"
        )
        ended = await _run(script, passed=(given.fileno(),))
    assert ended.output == b"closed\n"
    assert (tmp_path / "given").read_bytes() == b"here"


FAMILY = """
import os, sys, time
child = os.fork()
if child:
    with open(sys.argv[1] + ".part", "w") as file: file.write(f"{os.getpid()} {child}")
    os.rename(sys.argv[1] + ".part", sys.argv[1])
if child == 0 or sys.argv[2] == "stays":
    time.sleep(600)
"""


def _family(pid_file: Path, parent: str) -> asyncio.Task[Ended]:
    command = [sys.executable, "-I", "-c", FAMILY, str(pid_file), parent]
    return asyncio.create_task(run_confined(command, 0, (), 600.0))


async def test_when_cancelled_it_and_its_children_are_dead(tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    running = _family(pid_file, "stays")
    async with asyncio.timeout(30):
        while not pid_file.exists():
            await asyncio.sleep(0.01)
    parent, child = map(int, pid_file.read_text().split())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not Path(f"/proc/{parent}").exists()  # reaped before the caller continued
    await _dead(child)


async def test_a_child_that_it_leaves_behind_is_killed_too(tmp_path: Path) -> None:
    """It even holds the output open; the service does not wait for it."""
    started = time.monotonic()
    assert await _family(tmp_path / "pids", "leaves") == Ended(0, b"", False)
    assert time.monotonic() - started < 30
    await _dead(int((tmp_path / "pids").read_text().split()[1]))


async def test_no_descriptors_are_left(tmp_path: Path) -> None:
    await _run("pass")
    before = len(list(Path("/proc/self/fd").iterdir()))
    await _run("print('x')")
    await _run("import time; time.sleep(600)", 0.1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
