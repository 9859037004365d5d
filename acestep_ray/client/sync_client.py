"""The synchronous client."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

from acestep_ray.client.events import Event
from acestep_ray.client.fields import GenerateFields
from acestep_ray.client.job import JobView
from acestep_ray.client.models import Delivery, Health, Models, Ready, Stats
from acestep_ray.client.retries import Retries


class Job(JobView):
    """A job of the service."""

    def refresh(self) -> "Job":
        """Read the job's state anew; returns this job."""
        raise NotImplementedError

    def wait(
        self,
        timeout: float | None = None,
        progress: Callable[["Job"], object] | None = None,
        *,
        raise_on_failure: bool = True,
    ) -> "Job":
        """Wait until the job has ended, ``timeout`` seconds at most; returns this job.

        ``progress`` is called with this job when it is first known and whenever it has changed.
        Raises JobFailed, unless ``raise_on_failure`` is false, and WaitTimeout.
        """
        raise NotImplementedError

    def stream(self) -> Iterator[Event]:
        """Follow the job's events up to its end, over cut connections and restarts of the service.
        Each event also changes the state of this job."""
        raise NotImplementedError

    def download(
        self, directory: Path | str = ".", names: str | Sequence[str] = "{job_id}-{take}.{ext}"
    ) -> list[Path]:
        """Download the takes into a folder, which is made if need be; returns their files.

        ``names``: their names, or a pattern in which ``{job_id}``, ``{take}`` (from 1), ``{ext}``
        and ``{seed}`` are filled in. A file has its name only when it is whole.
        """
        raise NotImplementedError

    def cancel(self) -> "Job":
        """End the job as failed, with ``error_code`` cancelled. Raises Conflict if it has ended
        otherwise."""
        raise NotImplementedError

    def delete(self) -> None:
        """End the job if need be, and remove it with its audio."""
        raise NotImplementedError

    def deliveries(self) -> list[Delivery]:
        """The messages to the job's webhook, oldest first."""
        raise NotImplementedError


class Client:
    """A connection to a service."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: Retries = Retries(),  # noqa: B008
    ) -> None:
        raise NotImplementedError

    def generate(
        self, *, idempotency_key: str | None = None, **fields: Unpack[GenerateFields]
    ) -> Job:
        """Submit a job."""
        raise NotImplementedError

    def job(self, job_id: str) -> Job:
        """The job of that id. Raises NotFound and Gone."""
        raise NotImplementedError

    def jobs(
        self,
        status: str | None = None,
        limit: int | None = None,
        *,
        error_code: str | None = None,
        full: bool = False,
    ) -> Iterator[Job]:
        """Jobs, newest first, page by page as they are needed; ``limit`` of them at most.

        ``full``: with results and warnings.
        """
        raise NotImplementedError

    def models(self) -> Models:
        """What is deployed, and what it supports."""
        raise NotImplementedError

    def stats(self) -> Stats:
        """Counts of jobs, and figures."""
        raise NotImplementedError

    def health(self) -> Health:
        """Whether the process answers."""
        raise NotImplementedError

    def ready(self) -> Ready:
        """Whether the engines are up."""
        raise NotImplementedError

    def close(self) -> None:
        """Close its connections."""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
