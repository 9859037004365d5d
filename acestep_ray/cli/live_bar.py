"""The display of a job on a terminal."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from acestep_ray.cli.display import what_happens
from acestep_ray.cli.output import console
from acestep_ray.cli.time_left import TimeLeft, duration

if TYPE_CHECKING:
    from acestep_ray.client.job import JobView


class _Left(ProgressColumn):
    """The time that is left, which goes down between two states of the job."""

    def __init__(self, left: TimeLeft) -> None:
        super().__init__()
        self._left = left

    def render(self, task: Task) -> Text:
        """See ProgressColumn."""
        seconds = self._left.seconds
        return Text("" if seconds is None else f"about {duration(seconds)} left", style="dim")


class LiveBar:
    """What is done, a bar, the step of the stage, and the time left. It disappears at the end."""

    def __init__(self) -> None:
        self._left = TimeLeft()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[step]}", markup=False),
            _Left(self._left),
            console=console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("sending", total=None, step="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, job: "JobView") -> None:
        """See Display."""
        self._left.update(job.state)
        progress = job.state.progress
        step = ""
        if progress is not None:
            step = f"{progress.fraction:4.0%}"
            if progress.total > 1:
                step += f"  step {progress.step} of {progress.total}"
        self._progress.update(
            self._task,
            description=what_happens(job.state),
            total=None if progress is None else 1.0,
            completed=0 if progress is None else progress.fraction,
            step=step,
        )
