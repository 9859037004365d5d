"""The tools. An error is a sentence that an assistant can act on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Audio, Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import AudioContent
from pydantic import Field

from acestep_ray.cli.api_fields import names_a_song
from acestep_ray.cli.display import what_happens
from acestep_ray.cli.failures import lines_of
from acestep_ray.cli.mcp import parameters as of
from acestep_ray.cli.mcp.views import (
    JobList,
    JobReport,
    ModelReport,
    SavedSong,
    job_report,
)
from acestep_ray.cli.sources import SOURCE_FIELDS, UnknownSource, source_fields
from acestep_ray.client import ApiError, AsyncClient, AsyncJob, WaitTimeout

LONGEST_WAIT = 600.0
MOST_AUDIO_BYTES = 5_000_000
"""Largest take whose audio is put into an answer."""

NOTHING_TO_MAKE = (
    "Nothing says what to make: give caption, lyrics or description (others: "
    '{"sample_mode": true} lets the language model invent a song).'
)

JobId = Annotated[str, Field(description="As a tool that makes a song returned it.")]


@asynccontextmanager
async def _readable_errors() -> AsyncIterator[None]:
    try:
        yield
    except ApiError as error:
        raise ToolError("\n".join(lines_of(error, of.PARAMETER_OF, "{}"))) from error
    except (UnknownSource, OSError, TypeError, ValueError) as error:
        raise ToolError(str(error)) from error


def _audio_of(file: Path) -> AudioContent:
    size = file.stat().st_size
    if size > MOST_AUDIO_BYTES:
        raise ToolError(f"{file} has {size:,} bytes, too many for an answer: use the file.")
    return Audio(path=file).to_audio_content()


class MusicTools:
    """The tools of one server. ``folder``: where songs are saved."""

    def __init__(self, client: AsyncClient, folder: Path) -> None:
        self._client = client
        self._folder = folder

    async def generate(
        self,
        *,
        caption: of.Caption = "",
        lyrics: of.Lyrics = "",
        description: of.Description = "",
        plan: of.Plan = False,
        seconds: of.Seconds = None,
        bpm: of.Bpm = None,
        key: of.Key = None,
        language: of.Language = None,
        takes: of.Takes = 1,
        seed: of.Seed = None,
        audio_format: of.Format = None,
        others: of.Others = None,
    ) -> JobReport:
        """Make a song from a caption and lyrics, or from a description. It returns at once with a
        job_id: call wait with it, then fetch."""
        return await self._submit(
            others,
            caption=caption,
            lyrics=lyrics,
            sample_query=description,
            use_5hz_lm=plan or None,
            audio_duration=seconds,
            bpm=bpm,
            key_scale=key,
            vocal_language=language,
            batch_size=takes,
            seed=seed,
            audio_format=audio_format,
        )

    async def repaint(
        self,
        *,
        source: of.Source,
        caption: of.Caption = "",
        lyrics: of.Lyrics = "",
        start: Annotated[float, Field(description="Where the window begins, seconds.")] = 0.0,
        end: Annotated[
            float | None, Field(description="Where it ends, seconds; null: at the end.")
        ] = None,
        takes: of.Takes = 1,
        seed: of.Seed = None,
        audio_format: of.Format = None,
        others: of.Others = None,
    ) -> JobReport:
        """Make a part of a song anew, and leave the rest as it is. A start below 0 or an end beyond
        the source makes it longer. It returns at once with a job_id: call wait, then fetch."""
        return await self._submit(
            others,
            source,
            task_type="repaint",
            caption=caption,
            lyrics=lyrics,
            repainting_start=start,
            repainting_end=end,
            batch_size=takes,
            seed=seed,
            audio_format=audio_format,
        )

    async def cover(
        self,
        *,
        source: of.Source,
        caption: of.Caption,
        lyrics: of.Lyrics = "",
        strength: Annotated[
            float, Field(description="How much of the source is kept, 0 to 1.")
        ] = 1.0,
        takes: of.Takes = 1,
        seed: of.Seed = None,
        audio_format: of.Format = None,
        others: of.Others = None,
    ) -> JobReport:
        """Make another version of a song, in the style of the caption. It returns at once with a
        job_id: call wait, then fetch."""
        return await self._submit(
            others,
            source,
            task_type="cover",
            caption=caption,
            lyrics=lyrics,
            audio_cover_strength=strength,
            batch_size=takes,
            seed=seed,
            audio_format=audio_format,
        )

    async def status(self, job_id: JobId) -> JobReport:
        """The state of a job now."""
        async with _readable_errors():
            return job_report(await self._client.job(job_id))

    async def wait(
        self,
        job_id: JobId,
        context: Context[Any, Any],
        seconds: Annotated[float, Field(description="At most.", gt=0, le=LONGEST_WAIT)] = 120.0,
    ) -> JobReport:
        """Wait until a job has ended, or the time is over; then call it again. Reports progress."""
        done = 0.0

        async def show(job: AsyncJob) -> None:
            nonlocal done
            done = max(done, job.progress.fraction if job.progress else float(job.ended))
            await context.report_progress(done, 1.0, what_happens(job.state))

        async with _readable_errors():
            job = await self._client.job(job_id)
            with suppress(WaitTimeout):  # the report shows that it goes on
                await job.wait(seconds, show, raise_on_failure=False)
            return job_report(job)

    async def cancel(self, job_id: JobId) -> JobReport:
        """Cancel a job that has not ended."""
        async with _readable_errors():
            return job_report(await (await self._client.job(job_id)).cancel())

    async def list_jobs(
        self,
        status: Literal["queued", "running", "succeeded", "failed"] | None = None,
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
    ) -> JobList:
        """List jobs, newest first."""
        async with _readable_errors():
            return JobList(jobs=[job_report(job) async for job in self._client.jobs(status, limit)])

    async def fetch(self, job_id: JobId) -> SavedSong:
        """Save the takes of a job that has succeeded as files of this machine."""
        async with _readable_errors():
            job = await self._client.job(job_id)
            files = await job.download(self._folder)
            assert job.result is not None
            return SavedSong(
                job_id=job.id,
                files=[str(file) for file in files],
                seconds=job.result.take_seconds or job.result.duration,
                seeds=job.result.seed_value,
            )

    async def listen(self, job_id: JobId, take: Annotated[int, Field(ge=1)] = 1) -> AudioContent:
        """The audio of a take, for assistants that can hear. It is saved as a file, too."""
        async with _readable_errors():
            takes = (await self._client.job(job_id)).state.takes
        if takes and take > takes:
            count = "1 take" if takes == 1 else f"{takes} takes"
            raise ToolError(f"There is no take {take}: the job has {count}.")
        saved = await self.fetch(job_id)
        return await asyncio.to_thread(_audio_of, Path(saved.files[take - 1]))

    async def models(self) -> ModelReport:
        """What the service can do now: models, formats, languages, limits."""
        async with _readable_errors():
            found = await self._client.models()
        default = found.decoders[0] if found.decoders else None
        return ModelReport(
            models=[one.name for one in found.decoders],
            language_models=[one.name for one in found.planners],
            tasks=default.tasks if default else [],
            mock=default.mock if default else False,
            audio_formats=found.audio_formats,
            languages=found.languages,
            longest_seconds=found.limits.duration,
            most_takes=found.limits.batch_size,
        )

    async def _submit(
        self, others: of.Others, source: str | None = None, **values: Any
    ) -> JobReport:
        async with _readable_errors():
            audio = source_fields(source, SOURCE_FIELDS) if source is not None else {}
            fields = of.fields_of(others, **values, **audio)
            if not names_a_song(fields):
                raise ToolError(NOTHING_TO_MAKE)
            return job_report(await self._client.generate(**fields))
