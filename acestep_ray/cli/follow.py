"""Waits for a job, shows how far it is, and downloads its takes."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acestep_ray.cli.display import display
from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.interrupts import Choice, Terminated, choice_of, terminations_interrupt
from acestep_ray.cli.output import one_line, show_document, show_line
from acestep_ray.cli.take_names import check_files, check_pattern, names_of, with_extension

if TYPE_CHECKING:
    from acestep_ray.client import Job

RESULT = "The result"
USUAL_NAMES = "{job_id}-{take}.{ext}"


@dataclass(frozen=True)
class ResultOptions:
    """Where the takes go, and what is shown."""

    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            file_okay=False,
            metavar="DIR",
            help="Folder for the takes; it is made if need be.",
            rich_help_panel=RESULT,
        ),
    ] = Path()
    names: Annotated[
        str,
        typer.Option(
            metavar="PATTERN",
            help="Names of the files, with {job_id}, {take}, {seed} and {ext}. One without an "
            "extension gets the format's.",
            rich_help_panel=RESULT,
        ),
    ] = USUAL_NAMES
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace files of these names.", rich_help_panel=RESULT),
    ] = False
    json: Annotated[
        bool,
        typer.Option("--json", help="Write one JSON document to stdout.", rich_help_panel=RESULT),
    ] = False
    cancel_on_interrupt: Annotated[
        bool,
        typer.Option(
            "--cancel-on-interrupt",
            help="Cancel the job at Ctrl-C or SIGTERM, without asking.",
            rich_help_panel=RESULT,
        ),
    ] = False

    @property
    def pattern(self) -> str:
        """Of the names, always with an extension."""
        return with_extension(self.names)

    def prepare(self, fields: Mapping[str, Any] | None = None) -> None:
        """Check the names, and make the folder now: a job whose takes cannot be written must not
        be started. ``fields``: the request for the job; None: it exists. Raises
        typer.BadParameter."""
        check_pattern(self.names)
        if fields is not None:
            names = names_of(self.pattern, fields)
            if not self.overwrite:
                check_files(self.output, names)
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise typer.BadParameter(
                f"{self.output}: {error.strerror or error}.", param_hint="--output"
            ) from None

    def command_for(self, job_id: str) -> str:
        """The command that saves the takes of a job where these options say, as entered in a
        shell."""
        words = ["acestep-ray", "download", job_id]
        if self.output != Path():
            words += ["-o", str(self.output)]
        if self.names != USUAL_NAMES:
            words += ["--names", self.names]
        if self.overwrite:
            words += ["--overwrite"]
        return shlex.join(words)


def show_warnings(job: "Job") -> None:
    """Show what the service did not use."""
    for warning in job.warnings:
        show_line(f"warning: {one_line(warning)}")


def wait_for(job: "Job", options: ResultOptions) -> None:
    """Wait until the job has ended. An interrupt ends the command, unless the person wants to go
    on. Raises JobFailed."""
    with terminations_interrupt():
        while not job.ended:
            try:
                with display() as shown:
                    job.wait(progress=shown.show, raise_on_failure=False)
            except KeyboardInterrupt as interrupt:
                _handle(interrupt, job, options)


def _handle(interrupt: KeyboardInterrupt, job: "Job", options: ResultOptions) -> None:
    choice = choice_of(interrupt, cancel=options.cancel_on_interrupt)
    if choice is Choice.WAIT:
        return
    if choice is Choice.CANCEL:
        from acestep_ray.client import Conflict

        try:
            job.cancel()
            show_line(f"job {job.id} is cancelled.")
        except Conflict:
            show_line(f"job {job.id} had ended before it was cancelled.")
    else:
        show_line(f"job {job.id} goes on. To get its takes: {options.command_for(job.id)}")
    if options.json:
        show_document(job_document(job))
    terminated = isinstance(interrupt, Terminated)
    raise typer.Exit(ExitStatus.TERMINATED if terminated else ExitStatus.INTERRUPTED)


def deliver(job: "Job", options: ResultOptions) -> list[Path]:
    """Wait for the job, and download its takes. Returns their files. Raises ApiError: JobFailed,
    and DownloadFailed if they cannot be saved."""
    from acestep_ray.client import DownloadFailed, JobFailed

    wait_for(job, options)
    if job.status == "failed":
        raise JobFailed(job.error or "The job failed.", code=job.error_code or "", job=job.state)
    try:
        return job.download(options.output, options.pattern, overwrite=options.overwrite)
    except (OSError, ValueError) as error:
        why = str(error)
        if isinstance(error, FileExistsError):
            raise DownloadFailed(
                f"{error.filename} exists, and is another file. The job has succeeded. To replace "
                f"that file by its take: {options.command_for(job.id)} --overwrite"
            ) from error
        if isinstance(error, OSError):
            why = f"{options.output}: {error.strerror or error}."
        raise DownloadFailed(f"{why} {_how_to_get(job, options)}") from error
    except KeyboardInterrupt:
        show_line(_how_to_get(job, options))
        raise


def _how_to_get(job: "Job", options: ResultOptions) -> str:
    return f"The job has succeeded. To get its takes: {options.command_for(job.id)}"


def job_document(job: "Job", files: list[Path] | None = None) -> dict[str, Any]:
    """The job as JSON: what the API returns, and the files if there are any."""
    document = job.state.model_dump(mode="json")
    if files is not None:
        document["files"] = [str(file) for file in files]
    return document
