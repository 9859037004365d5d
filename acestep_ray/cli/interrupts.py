"""Ctrl-C and SIGTERM while a command waits for a job."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from types import FrameType

from acestep_ray.cli.output import is_interactive


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def terminations_interrupt() -> Iterator[None]:
    """In the block, SIGTERM raises Terminated."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Choice(Enum):
    """What is to happen with a job whose command was interrupted."""

    CANCEL = auto()
    LEAVE = auto()
    WAIT = auto()


def choice_of(
    interrupt: KeyboardInterrupt, *, cancel: bool, question: str = "Cancel the job?"
) -> Choice:
    """Ask the person, if there is one; ``cancel``: cancel without asking. Another interrupt, or the
    end of stdin, leaves the job."""
    if cancel:
        return Choice.CANCEL
    if isinstance(interrupt, Terminated) or not is_interactive():
        return Choice.LEAVE
    import typer

    try:
        answer = typer.confirm(
            f"\n{question} (no: go on; Ctrl-C: end, and leave it to the service)",
            default=False,
            err=True,
        )
    except (KeyboardInterrupt, EOFError, typer.Abort):
        typer.echo(err=True)
        return Choice.LEAVE
    return Choice.CANCEL if answer else Choice.WAIT
