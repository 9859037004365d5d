"""Run a program on untrusted data: in its own process group, with limits on time and output."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

MOST_OUTPUT = 65_536
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Ended:
    """How the program ended. ``stopped``: it was killed because of its time or its output."""

    status: int
    output: bytes
    stopped: bool


async def run_confined(
    command: Sequence[str], stdin: int, passed: Sequence[int], seconds: float
) -> Ended:
    """Run ``command`` with the open file ``stdin`` and the descriptors ``passed``.

    It gets none of our environment (which holds keys), and its standard error is discarded, because
    decoders print as much there as a file makes them print. ``status`` is negative for a signal.
    However this ends, also when cancelled, the program is dead and reaped, and its children are
    killed.
    """
    stop = os.eventfd(0, os.EFD_CLOEXEC)
    try:
        process = _start(command, stdin, passed)
    except BaseException:
        os.close(stop)
        raise
    # A thread, not asyncio's subprocesses: those depend on the loop and the thread that run them.
    watching = asyncio.ensure_future(asyncio.to_thread(_watch, process, stop, seconds))
    try:
        return await asyncio.shield(watching)
    except asyncio.CancelledError:
        os.eventfd_write(stop, 1)
        await asyncio.wait([watching])
        raise
    finally:
        if watching.done():
            os.close(stop)
        else:  # cancelled again while the thread still watches the program
            watching.add_done_callback(lambda _: os.close(stop))


def plain_environment() -> dict[str, str]:
    """The environment of a program that must not have ours, which holds keys."""
    environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    # ffmpeg may be linked to a BLAS that starts one thread per core, and each needs address space.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    return environment


def _start(command: Sequence[str], stdin: int, passed: Sequence[int]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=passed,
        env=plain_environment(),
        start_new_session=True,
        bufsize=0,
    )


def _watch(process: "subprocess.Popen[bytes]", stop: int, seconds: float) -> Ended:
    """Collect its output until it ends, or end it."""
    deadline = time.monotonic() + seconds
    output = b""
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(_end, process)
        exited = os.pidfd_open(process.pid)
        at_the_end.callback(os.close, exited)
        assert process.stdout is not None
        output_file = process.stdout.fileno()
        poll = select.poll()
        for file in (output_file, exited, stop):
            poll.register(file, select.POLLIN)
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready = [file for file, _ in poll.poll(left * 1000)]
            if not ready or stop in ready or len(output) > MOST_OUTPUT:
                stopped = True
                break
            if output_file in ready:
                chunk = os.read(output_file, 4096)
                output += chunk
                if not chunk:
                    poll.unregister(output_file)
            else:
                stopped = False
                break
    return Ended(process.returncode, output, stopped)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the whole group, then reap. The program may already have ended, and its children not.

    In this order: until it is reaped, no other group can get its number.
    """
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()
