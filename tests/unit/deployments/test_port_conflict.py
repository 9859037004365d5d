"""How a `serve run` that would share its port is ended."""

import subprocess
import sys

import pytest

from deployments.port_conflict import _ignores_sigint

WAITS = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.{}); print('up', flush=True); "
    "sys.stdin.read()"
)


@pytest.mark.parametrize(
    ("handler", "ignores"), [("SIG_IGN", True), ("default_int_handler", False)]
)
def test_one_that_a_script_started_in_the_background_is_recognised(
    handler: str, ignores: bool
) -> None:
    """A shell lets such a process ignore SIGINT: it would go on, and take half of the requests."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS.format(handler)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout
        process.stdout.readline()
        assert _ignores_sigint(process.pid) is ignores
        process.kill()
