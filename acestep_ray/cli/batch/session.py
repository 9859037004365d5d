"""Runs a batch up to its end, an interrupt, or a failure that every song would have."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from acestep_ray.cli.batch.display import Count, batch_display
from acestep_ray.cli.batch.lines import Line
from acestep_ray.cli.batch.report import Report, report_of
from acestep_ray.cli.batch.run import BatchRun
from acestep_ray.cli.batch.state import BatchState, Song, SongStatus, remove_parts
from acestep_ray.cli.connection import Connection
from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.failures import detail_of, exit_status
from acestep_ray.cli.interrupts import Choice, Terminated, choice_of
from acestep_ray.cli.output import show_line
from acestep_ray.client import ApiError, Conflict, Gone, NotFound

KEY_SECONDS = 24 * 3600
"""How long the service keeps an Idempotency-Key."""


@dataclass(frozen=True)
class End:
    """Why a run ended early: a sentence, and a stable name."""

    error: str
    code: str


class Session:
    """One call of the command."""

    def __init__(
        self,
        connection: Connection,
        state: BatchState,
        folder: Path,
        in_flight: int | None,
        *,
        cancel_on_interrupt: bool,
    ) -> None:
        self._connection = connection
        self._state = state
        self._folder = folder
        self._in_flight = in_flight
        self._cancel_on_interrupt = cancel_on_interrupt
        self._count = Count(0, 0)
        self._active = 0
        self.end = End("", "")
        """Why the run ended before all songs were made; empty if it did not."""

    def make(self, lines: Sequence[Line], *, retry_failed: bool) -> ExitStatus:
        """Make the songs that are not made yet; returns the exit status."""
        self._begin(lines, retry_failed=retry_failed)
        while waiting := [line for line in lines if self._is_left(line)]:
            try:
                with batch_display(self._count, lambda: self._active) as shown:
                    asyncio.run(self._run(waiting, shown.ended))
                break
            except ApiError as error:
                self.end = End(detail_of(error), error.code)
                show_line(self.end.error)
                show_line("the same command goes on with the batch.")
                return exit_status(error)
            except OSError as error:  # such as a full disk
                self.end = End(f"{self._folder}: {error}.", "download_failed")
                show_line(self.end.error)
                show_line("the same command goes on with the batch.")
                return ExitStatus.FAILED
            except KeyboardInterrupt as interrupt:
                if (status := self._interrupted(interrupt)) is not None:
                    self.end = End("Interrupted.", "interrupted")
                    return status
        return ExitStatus.FAILED if self.report(lines).failed else ExitStatus.OK

    def report(self, lines: Sequence[Line]) -> Report:
        """What has come of the songs so far."""
        return report_of(lines, self._state, self._count.made_now, self._count.seconds)

    def _begin(self, lines: Sequence[Line], *, retry_failed: bool) -> None:
        remove_parts(self._folder)
        for line in lines:
            song = self._state.of(line)
            if song.status is SongStatus.FAILED and retry_failed:
                self._state.save(song.again())
            elif song.job_id is None and time.time() - (song.asked_at or time.time()) > KEY_SECONDS:
                show_line(
                    f"line {line.number}: the batch was cut off while it asked for this song, more "
                    "than a day ago; it may be made a second time."
                )
        done = sum(not self._is_left(line) for line in lines)
        self._count = Count(len(lines), done)
        if done:
            show_line(f"{done:,} of {len(lines):,} songs had ended before.")

    def _is_left(self, line: Line) -> bool:
        song = self._state.of(line)
        if song.status is SongStatus.MADE:
            return not all((self._folder / name).exists() for name in song.files)
        return song.status is not SongStatus.FAILED

    async def _run(self, lines: Sequence[Line], shown: Callable[[Line, Song], None]) -> None:
        """Raises ApiError, OSError and Terminated; asyncio.run raises KeyboardInterrupt."""
        task = asyncio.current_task()
        assert task is not None
        terminated = False

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)

        def ended(line: Line, song: Song) -> None:
            self._count.add(song)
            self._active = run.active
            shown(line, song)

        async with self._connection.open_async() as client:
            run = BatchRun(client, self._state, self._folder, self._in_flight, ended)
            try:
                await run.make(lines)
            except asyncio.CancelledError:
                if terminated:
                    raise Terminated from None
                raise

    def _interrupted(self, interrupt: KeyboardInterrupt) -> ExitStatus | None:
        """The exit status, or None to go on."""
        queued = self._state.queued()
        choice = choice_of(
            interrupt,
            cancel=self._cancel_on_interrupt,
            question=f"Cancel the {len(queued):,} jobs that are at work?",
        )
        if choice is Choice.WAIT:
            return None
        if choice is Choice.CANCEL:
            self._cancel(queued)
        else:
            show_line(f"{len(queued):,} jobs go on.")
        show_line("the same command goes on with the batch.")
        terminated = isinstance(interrupt, Terminated)
        return ExitStatus.TERMINATED if terminated else ExitStatus.INTERRUPTED

    def _cancel(self, songs: Sequence[Song]) -> None:
        """Cancel their jobs; the next run makes these songs anew."""
        cancelled = 0
        with self._connection.open() as client:
            for song in songs:
                try:
                    client.job(song.job_id or "").cancel()
                except Conflict:  # it has ended: its takes are fetched by the next run
                    continue
                except (NotFound, Gone):
                    pass
                except ApiError as error:
                    show_line(detail_of(error))
                    break
                self._state.save(song.again())
                cancelled += 1
        show_line(f"{cancelled:,} jobs are cancelled.")
