"""Ctrl-C: the person decides what becomes of the job, and a script's job is never lost silently."""

import re
import signal
from collections.abc import Iterator

import pytest

from tests.unit.cli.commands import CommandLine, environment, first_line
from tests.unit.cli.terminal import Terminal

LONG = ("generate", "a long song", "--takes", 1, "--duration", 10)


@pytest.fixture
def terminal(slow_cli: CommandLine) -> Iterator[Terminal]:
    """A command that waits for a job of eight seconds or more."""
    env = environment(ACESTEP_URL=slow_cli.url)
    with Terminal(*LONG, folder=slow_cli.folder, env=env) as terminal:
        terminal.until("making music")
        yield terminal


def job_of(text: str) -> str:
    found = re.search(r"job ([0-9a-f-]{36})", text)
    assert found, text
    return found[1]


def test_progress_on_a_terminal_shows_stage_step_and_time(terminal: Terminal) -> None:
    terminal.until("step 3 of 8")
    terminal.until(" left")
    assert re.search(r"making music.*%  step 3 of 8 about \d+ s left", terminal.text)
    assert terminal.status() == 0
    assert terminal.text.rstrip().endswith(f"{job_of(terminal.text)}-1.mp3")


def test_yes_cancels_the_job(terminal: Terminal, slow_cli: CommandLine) -> None:
    terminal.type("\x03")
    terminal.until("Cancel the job?")
    terminal.type("y\n")
    assert terminal.status() == 130
    job_id = job_of(terminal.text)
    assert f"job {job_id} is cancelled" in terminal.text
    with slow_cli.client() as client:
        assert client.job(job_id).error_code == "cancelled"


def test_no_waits_on(terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.until("Cancel the job?")
    terminal.type("\n")
    assert terminal.status() == 0
    assert terminal.text.rstrip().endswith("-1.mp3")


def test_a_second_time_leaves_it_and_shows_how_to_get_it(
    terminal: Terminal, slow_cli: CommandLine
) -> None:
    terminal.type("\x03")
    terminal.until("Cancel the job?")
    terminal.type("\x03")
    assert terminal.status() == 130
    found = re.search(r"goes on\. To get its takes: acestep-ray (download \S+)", terminal.text)
    assert found, terminal.text
    done = slow_cli.run(*found[1].split(), "-o", slow_cli.folder)
    assert done.exit_code == 0 and done.stdout.endswith("-1.mp3\n")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("cancel", [False, True])
def test_nobody_is_asked_where_nobody_watches(
    slow_cli: CommandLine, number: signal.Signals, status: int, cancel: bool
) -> None:
    option = ("--cancel-on-interrupt",) if cancel else ()
    with slow_cli.started(*LONG, *option) as process:
        job_id = job_of(first_line(process.stderr, "job "))
        first_line(process.stderr, "making music")
        process.send_signal(number)
        assert process.wait(60) == status
        assert process.stderr is not None
        end = process.stderr.read()
    with slow_cli.client() as client:
        job = client.job(job_id)
        if cancel:
            assert "is cancelled" in end and job.error_code == "cancelled"
        else:
            assert f"acestep-ray download {job_id}" in end and not job.ended
            job.cancel()
