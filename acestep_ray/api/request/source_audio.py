"""Reads a client's audio: a child process converts it to FLAC, and its length is checked."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from acestep_ray.api.problems import FieldError
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.folder import Folder
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.path_refusal import path_refusal
from acestep_ray.api.request.validation import field_error
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.audio.ingest.allowed_paths import OutsideRoots, PathRefused, open_under
from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.decoder.protocol import WINDOW_TASKS, DecodeParameters
from acestep_ray.settings import Limits, Settings
from acestep_ray.timebase import frames_of_seconds


@dataclass(frozen=True)
class SourceFile:
    """Audio that was read. ``file``: FLAC, in the request's folder. ``name``: the field in which it
    was sent."""

    role: str
    name: str
    file: Path
    audio: Ingested

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the audio, for the client."""
        return (f"{self.name}: {self.audio.warning}",) if self.audio.warning else ()


class SourceReader:
    """Reads client files, a few at a time. One per app."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.ingest.concurrency)

    async def bring_in(
        self, role: str, field: str, body: Body, request: GenerateRequest, folder: Folder
    ) -> SourceFile | FieldError:
        """Read the file ``field`` of the form or, without one, the file that ``field``_path names.

        Returns a FieldError if it is not audio, or may not be used.
        """
        upload = body.files.get(field)
        name = (upload.named_by or field) if upload else f"{field}_path"
        out = folder / f"{role}.flac"
        try:
            if upload:
                audio = await self._read(upload.path, out)
            else:
                path = str(getattr(request, name))
                roots = self._settings.audio_root_dirs
                descriptor = await asyncio.to_thread(open_under, path, roots)
                try:
                    audio = await self._read(descriptor, out)
                finally:
                    os.close(descriptor)
        except OutsideRoots as error:
            why = path_refusal(str(getattr(request, name)), error, self._settings)
            cure = f"Or send the file itself, as {field} of a multipart/form-data body."
            return self._refused(name, f"{why} {cure}")
        except PathRefused as error:
            return self._refused(name, str(error))
        except AudioRejected as error:
            return self._refused(name, error.reason)
        return SourceFile(role, name, out, audio)

    async def fetch(self, artifacts: Artifacts, key: str, out: Path) -> None:
        """Copy stored audio to ``out``, where ``bring_in`` reads it. Raises StorageError."""
        async with self._slots:
            await artifacts.fetch(key, out)

    def slot(self) -> asyncio.Semaphore:
        """Held while one of a few files is read; for other work that needs much memory."""
        return self._slots

    def _refused(self, name: str, why: str) -> FieldError:
        return field_error(name, f"{name} is refused: {why}", self._settings.limits)

    async def _read(self, source: int | Path, out: Path) -> Ingested:
        async with self._slots:
            return await ingest(source, out, self._settings.ingest)


def check_length(
    decode: DecodeParameters, seconds: float, limits: Limits, source_field: str
) -> FieldError | None:
    """What is wrong with the length of a source for the task, or with the repaint window."""
    if frames_of_seconds(seconds) < 1:
        return field_error(
            source_field, f"{source_field} is too short: {seconds:.3f} s of audio.", limits
        )
    start, end = 0.0, seconds
    if decode.task in WINDOW_TASKS:
        start = decode.repaint_start
        end = seconds if decode.repaint_end is None else decode.repaint_end
        if start >= seconds:
            return field_error(
                "repainting_start",
                f"repainting_start ({start:g}) must lie before the end of the source, "
                f"which is {seconds:.2f} seconds long.",
                limits,
            )
        if end < 0:
            return field_error(
                "repainting_end",
                f"repainting_end ({end:g}) must not lie before the start of the source (0).",
                limits,
            )
        if frames_of_seconds(end - start) < 1:
            return field_error(
                "repainting_end",
                f"The window from {start:g} to {end:g} seconds is shorter than a frame (0.04 s).",
                limits,
            )
    longest = limits.duration
    total = max(end, seconds) - min(start, 0.0)
    if total > longest:
        name = "repainting_end" if end > seconds else "repainting_start"
        if seconds > longest:
            name = source_field
        return field_error(
            name,
            f"The takes would be {total:g} seconds long; the longest is {longest:g} seconds.",
            limits,
        )
    return None
