"""The asynchronous client."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Unpack

from acestep_ray.client.async_transport import AsyncTransport
from acestep_ray.client.connection import Connection
from acestep_ray.client.core import Core
from acestep_ray.client.downloads import DEFAULT_NAMES, download
from acestep_ray.client.events import Event
from acestep_ray.client.fields import GenerateFields, with_fields
from acestep_ray.client.following import stream, wait
from acestep_ray.client.job import JobView
from acestep_ray.client.models import Adapters, Delivery, Health, JobState, Models, Ready, Stats
from acestep_ray.client.retries import DEFAULT_RETRIES, Retries


class AsyncJob(JobView):
    """A job of the service: its last known state, and what can be done with it.

    Every method raises ApiError; NotFound and Gone if there is no such job any more.
    """

    def __init__(self, client: "AsyncClient", state: JobState) -> None:
        super().__init__(state)
        self._core, self._transport = client._core, client._transport

    async def refresh(self) -> "AsyncJob":
        """Read the job's state anew; returns this job."""
        self.update(await self._transport.run(self._core.job(self.id)))
        return self

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  (over several requests and pauses)
        progress: Callable[["AsyncJob"], Awaitable[object] | object] | None = None,
        *,
        raise_on_failure: bool = True,
    ) -> "AsyncJob":
        """Wait until the job has ended, ``timeout`` seconds at most (None: however long it takes);
        returns this job.

        ``progress`` is called with this job at the beginning and whenever it has changed, about
        once per second; what it returns is awaited, if that is possible. Raises JobFailed, unless
        ``raise_on_failure`` is false, and WaitTimeout; the job then goes on.
        """
        notify = (lambda: progress(self)) if progress else None
        flow = wait(self._core, self, timeout, notify, raise_on_failure)
        await self._transport.run(flow)
        return self

    def stream(self) -> AsyncGenerator[Event, None]:
        """Follow the job's events up to its end, over cut connections and restarts of the service:
        none is left out and none comes twice, unless a ``state`` with ``reset`` reports it. Each
        event also changes the state of this job."""
        return self._transport.iterate(stream(self._core, self))

    async def download(
        self,
        directory: Path | str = ".",
        names: str | Sequence[str] = DEFAULT_NAMES,
        *,
        overwrite: bool = True,
    ) -> list[Path]:
        """Download the takes into a folder, which is made if need be; returns their files.

        ``names``: their names, or a pattern with ``{job_id}``, ``{take}`` (from 1), ``{ext}`` and
        ``{seed}``. A file gets its name when it is whole, and replaces one of that name; without
        ``overwrite`` it does not, and if that one is not the same take, FileExistsError is raised.
        Raises JobFailed, NotFound if the job has not ended, ValueError for names, and OSError.
        """
        flow = download(self._core, self, Path(directory), names, overwrite=overwrite)
        return await self._transport.run(flow)

    async def cancel(self) -> "AsyncJob":
        """End the job as failed, with the ``error_code`` cancelled; returns this job. Raises
        Conflict if it has ended in another way."""
        self.update(await self._transport.run(self._core.cancel(self.id)))
        return self

    async def delete(self) -> None:
        """End the job if need be, and remove it with its audio."""
        await self._transport.run(self._core.delete(self.id))

    async def deliveries(self) -> list[Delivery]:
        """The messages to the job's webhook, oldest first."""
        return await self._transport.run(self._core.deliveries(self.id))


class AsyncClient:
    """A client of a service.

    ``base_url``: where the service is, also with a path; None: ``ACESTEP_URL`` of the environment,
    else http://127.0.0.1:8001. ``api_key``: None: ``ACESTEP_API_KEY`` of the environment, if it is
    set. ``timeout``: seconds without a byte after which a connection counts as broken. ``retries``:
    how long it tries. Every method raises ApiError.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: Retries = DEFAULT_RETRIES,
    ) -> None:
        connection = Connection(base_url, api_key, timeout)
        self._core = Core(connection.address, retries)
        self._transport = AsyncTransport(connection)

    @with_fields
    async def generate(
        self, *, idempotency_key: str | None = None, **fields: Unpack[GenerateFields]
    ) -> AsyncJob:
        """Submit a job, once, however often the request has to be sent; returns it.

        ``fields``: see GenerateFields. ``idempotency_key``: a later call with the same key and the
        same fields, within a day and also of another process, returns the same job; None: a new
        key. Raises InvalidRequest, whose ``errors`` name the wrong fields, QueueFull, TypeError for
        a keyword that is no field, and OSError of files.
        """
        state = await self._transport.run(self._core.submit(fields, idempotency_key))
        return AsyncJob(self, state)

    async def job(self, job_id: str) -> AsyncJob:
        """The job of that id. Raises NotFound, and Gone if it was deleted or has expired."""
        return AsyncJob(self, await self._transport.run(self._core.job(job_id)))

    async def jobs(
        self,
        status: str | None = None,
        limit: int | None = None,
        *,
        error_code: str | None = None,
        full: bool = False,
    ) -> AsyncGenerator[AsyncJob, None]:
        """The jobs, newest first, page by page as they are needed; ``limit`` of them at most.

        ``status``: queued, running, succeeded or failed. ``error_code``: only jobs that failed for
        this reason; with ``!`` before it: for any other. ``full``: with results and warnings;
        otherwise their ``state`` has the beginning of the caption, task and number of takes.
        """
        flow = self._core.jobs(status, limit, error_code, full)
        async with aclosing(self._transport.iterate(flow)) as states:
            async for state in states:
                yield AsyncJob(self, state)

    async def models(self) -> Models:
        """What is deployed, and what it supports."""
        return await self._transport.run(self._core.models())

    async def adapters(self) -> Adapters:
        """LoRA and LoKr adapters that songs may use."""
        return await self._transport.run(self._core.adapters())

    async def stats(self) -> Stats:
        """Counts of jobs, and figures."""
        return await self._transport.run(self._core.stats())

    async def health(self) -> Health:
        """Whether the process answers, and whether its engines are mock."""
        return await self._transport.run(self._core.health())

    async def ready(self) -> Ready:
        """Whether the engines are up now; asked once, without retries."""
        return await self._transport.run(self._core.ready())

    async def aclose(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
