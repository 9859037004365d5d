"""Shows how far a batch is: a bar on a terminal, else a line per song."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from acestep_ray.cli.batch.lines import Line
from acestep_ray.cli.batch.state import Song, SongStatus
from acestep_ray.cli.output import console, one_line, show_line
from acestep_ray.cli.time_left import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Count:
    """Songs of a run: how many there are and have ended, and how fast."""

    def __init__(self, total: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = done
        self.made_now = 0
        self.failed = 0
        self._clock = clock
        self._began = clock()

    def add(self, song: Song) -> None:
        """Count a song that has ended now."""
        self.done += 1
        if song.status is SongStatus.MADE:
            self.made_now += 1
        else:
            self.failed += 1

    @property
    def seconds(self) -> float:
        """How long the run has been going on."""
        return self._clock() - self._began

    def rate(self) -> str:
        """Songs per hour and the time left; empty until there is a song."""
        ended_now = self.made_now + self.failed
        if not self.made_now:
            return ""
        left = (self.total - self.done) * self.seconds / ended_now
        return f"{3600 * self.made_now / self.seconds:,.0f} songs/h, {duration(left)} left"


class BatchDisplay(Protocol):
    """Shows a song that has ended, after it was counted."""

    def ended(self, line: Line, song: Song) -> None: ...


@contextmanager
def batch_display(count: Count, active: Callable[[], int]) -> Iterator[BatchDisplay]:
    """A display on stderr, until the block ends. ``active``: how many songs are made now."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield _Lines(count)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("songs"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}", markup=False),
    )
    with Progress(*columns, console=out) as progress:
        task = progress.add_task("songs", total=count.total, completed=count.done, more="")
        yield _Bar(progress, task, count, active)


class _Lines:
    def __init__(self, count: Count) -> None:
        self._count = count

    def ended(self, line: Line, song: Song) -> None:
        """See BatchDisplay."""
        why = f": {one_line(song.error)}" if song.error else ""
        rate = self._count.rate()
        show_line(
            f"{self._count.done}/{self._count.total} {song.name} {song.status}{why}"
            + (f" ({rate})" if rate else "")
        )


class _Bar:
    def __init__(
        self, progress: "Progress", task: "TaskID", count: Count, active: Callable[[], int]
    ) -> None:
        self._progress, self._task, self._count, self._active = progress, task, count, active

    def ended(self, line: Line, song: Song) -> None:
        """See BatchDisplay."""
        failed = f"{self._count.failed} failed" if self._count.failed else ""
        parts = (failed, f"{self._active()} at once", self._count.rate())
        self._progress.update(
            self._task, completed=self._count.done, more=", ".join(part for part in parts if part)
        )
        if song.error:
            text = f"line {line.number}, {song.name}: {one_line(song.error)}"
            self._progress.console.print(text, markup=False, style="red")
