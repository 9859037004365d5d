"""Commands about jobs that were submitted: jobs, show, cancel, download."""

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acestep_ray.cli.connection import Connection
from acestep_ray.cli.display import what_happens
from acestep_ray.cli.download_model import download_model, looks_like_model
from acestep_ray.cli.failures import (
    detail_of,
    exit_status,
    failure_document,
    is_of_the_service,
    shown_failures,
)
from acestep_ray.cli.follow import ResultOptions, deliver, job_document, show_warnings
from acestep_ray.cli.groups import JOBS
from acestep_ray.cli.option_groups import with_groups
from acestep_ray.cli.output import console, one_line, show_document, show_line
from acestep_ray.cli.take_names import check_takes
from acestep_ray.cli.time_left import duration

if TYPE_CHECKING:
    from acestep_ray.client import ApiError, Job
    from acestep_ray.client.models import JobState

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="As generate or jobs shows it.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")]


class JobStatus(StrEnum):
    """States of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel=JOBS)(with_groups(jobs))
    app.command(rich_help_panel=JOBS)(with_groups(show))
    app.command(rich_help_panel=JOBS)(with_groups(cancel))
    app.command(rich_help_panel=JOBS)(with_groups(download))


def jobs(
    connection: Connection,
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs of this status.")] = None,
    error_code: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="Only jobs that failed with it, such as cancelled; !CODE: others."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many, at most.")] = 20,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    options = {"error_code": "--error-code"}
    with shown_failures(as_json=json, options=options), connection.open() as client:
        chosen = status.value if status else None
        found = [job.state for job in client.jobs(chosen, limit, error_code=error_code)]
    if json:
        show_document([state.model_dump(mode="json") for state in found])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("JOB", "CREATED", "STATE", "TASK", "TAKES", "CAPTION"):
        table.add_column(column, no_wrap=column in ("JOB", "CREATED"))
    for state in found:
        table.add_row(*_row(state))
    console().print(table)


def _row(state: "JobState") -> tuple[Any, ...]:
    from rich.text import Text

    colour = {"succeeded": "green", "failed": "red", "running": "yellow"}.get(state.status, "")
    happens = _happens(state)
    return (
        state.job_id,
        _local_time(state.created_at),
        Text(happens, style=colour),
        state.task_type or "",
        "" if state.takes is None else str(state.takes),
        Text(one_line(state.caption or "")),
    )


def _happens(state: "JobState") -> str:
    """What is done with the job, how far it is, and whether it was cancelled: that is no fault."""
    if state.error_code == "cancelled":
        return "cancelled"
    done = f" {state.progress.fraction:.0%}" if state.progress else ""
    return what_happens(state) + done


def _local_time(at: float | None) -> str:
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def show(connection: Connection, job_id: JobId, json: Json = False) -> None:
    """Show a job: what was asked for, its state, and its result once it has succeeded."""
    with shown_failures(as_json=json), connection.open() as client:
        job = client.job(job_id)
    if json:
        show_document(job_document(job))
        return
    for name, value in _details(job):
        typer.echo(f"{name:<10} {value}")


def _details(job: "Job") -> list[tuple[str, str]]:
    state = job.state
    happens = _happens(state)
    if not state.progress and state.eta_seconds:
        happens += f", about {duration(state.eta_seconds)} left"
    found = [
        ("job", state.job_id),
        ("state", happens),
        ("task", state.task_type or ""),
        ("caption", one_line(state.caption or "")),
        ("takes", "" if state.takes is None else str(state.takes)),
        ("created", _local_time(state.created_at)),
        ("started", _local_time(state.started_at)),
        ("finished", _local_time(state.finished_at)),
        ("kept until", _local_time(state.expires_at)),
        ("error", one_line(f"{state.error} ({state.error_code})") if state.error else ""),
    ]
    if result := state.result:
        found += [
            ("seeds", result.seed_value),
            ("tempo", "" if result.bpm is None else f"{result.bpm} bpm"),
            ("key", result.keyscale or ""),
            ("metre", result.timesignature or ""),
            (
                "length",
                f"{length:g} s" if (length := result.take_seconds or result.duration) else "",
            ),
            ("LM caption", one_line(result.lm_caption or "")),
            *(("take", path) for path in result.audio_paths),
        ]
    found += [("warning", one_line(warning)) for warning in job.warnings]
    return [(name, value) for name, value in found if value]


def cancel(
    connection: Connection,
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB_ID...", help="One or more.")],
    json: Json = False,
) -> None:
    """Cancel jobs, each of them, also if another cannot be. One that has ended otherwise is
    refused."""
    from acestep_ray.client import ApiError

    entries: list[dict[str, Any]] = []
    errors: list[ApiError] = []
    with connection.open() as client:
        for job_id in job_ids:
            try:
                job = client.job(job_id).cancel()
            except ApiError as error:
                errors.append(error)
                document = failure_document(error, exit_status(error), {})
                entries.append({"job_id": job_id, **document})
                show_line((f"{job_id}: " if len(job_ids) > 1 else "") + detail_of(error))
                if is_of_the_service(error):
                    break
            else:
                entries.append(job_document(job))
                if not json:
                    typer.echo(f"{job.id} cancelled")
    if json:
        show_document(_cancelled(entries, errors, len(job_ids)))
    if errors:
        raise typer.Exit(exit_status(errors[0]))


def _cancelled(entries: list[dict[str, Any]], errors: "list[ApiError]", asked: int) -> Any:
    """What cancel writes for scripts: the jobs; if one is not cancelled, why, with all of them."""
    if not errors:
        return entries
    document = failure_document(errors[0], exit_status(errors[0]), {})
    if asked > 1:
        left = asked - len(entries) + len(errors)
        document["error"] = f"{left} of {asked} jobs are not cancelled."
    return {**document, "jobs": entries}


def download(result: ResultOptions, connection: Connection, job_id: JobId) -> None:
    """Wait for a job if it has not ended, and download its takes.

    The name of a model instead of a job downloads that model: see download-model.
    """
    if looks_like_model(job_id):
        download_model([job_id])
    result.prepare()
    with shown_failures(as_json=result.json), connection.open() as client:
        job = client.job(job_id)
        if job.state.takes:
            check_takes(result.pattern, job.state.takes)
        show_warnings(job)
        files = deliver(job, result)
    if result.json:
        show_document(job_document(job, files))
    else:
        for file in files:
            typer.echo(file)
