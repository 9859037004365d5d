"""Shows how far a job is: a bar on a terminal, else a line for each change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from acestep_ray.cli.output import console, show_line
from acestep_ray.cli.time_left import TimeLeft, duration

if TYPE_CHECKING:
    from acestep_ray.client.job import JobView
    from acestep_ray.client.models import JobState

STAGES = {
    "writing": "writing the song",
    "metadata": "planning the song",
    "codes": "writing audio codes",
    "waiting": "planned, waiting for a decoder",
    "encoding": "reading the source",
    "diffusion": "making music",
    "vae": "making the waveform",
    "storing": "storing the takes",
}
"""Stage of a job's progress -> what it is for a reader."""


class Display(Protocol):
    """Shows a job; is called with it whenever it has changed."""

    def show(self, job: "JobView") -> None: ...


@contextmanager
def display() -> Iterator[Display]:
    """A display on stderr, until the block ends."""
    to_terminal = console(stderr=True).is_terminal
    if not to_terminal:
        yield Lines()
        return
    from acestep_ray.cli.live_bar import LiveBar

    with LiveBar() as bar:
        yield bar


class Lines:
    """A line whenever the job is in another stage or at another place in the queue."""

    def __init__(self) -> None:
        self._shown = ""
        self._left = TimeLeft()

    def show(self, job: "JobView") -> None:
        """See Display."""
        self._left.update(job.state)
        line = what_happens(job.state)
        if line != self._shown:
            left = self._left.seconds
            show_line(f"{line}, about {duration(left)} left" if left else line)
            self._shown = line


def what_happens(state: "JobState") -> str:
    """What is done with the job now, in a few words."""
    if state.progress is not None:
        return STAGES.get(state.progress.stage, state.progress.stage)
    if state.status == "queued":
        return f"queued, position {state.queue_position}" if state.queue_position else "queued"
    return state.status
