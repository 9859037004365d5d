"""Downloads of takes: whole files under their names, or none."""

import hashlib
import os
import re
import uuid
from collections.abc import Sequence
from errno import EEXIST
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from acestep_ray.client.core import BROKEN, Core, is_cut, job_path
from acestep_ray.client.errors import ApiError, DownloadFailed, NotFound
from acestep_ray.client.following import check_success
from acestep_ray.client.job import JobView
from acestep_ray.client.models import Result
from acestep_ray.client.problems import error_of, is_temporary
from acestep_ray.client.retries import Tries
from acestep_ray.client.steps import (
    Answer,
    Close,
    Flow,
    Pause,
    Request,
    open_response,
    read_bytes,
    work,
)

DEFAULT_NAMES = "{job_id}-{take}.{ext}"
_SHA256 = re.compile(r'"([0-9a-f]{64})"')
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class PartialFile:
    """A file that is being downloaded, beside its target, under another name. It is made by
    ``begin``, and has to be removed by ``discard``."""

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        self._target = target
        self._overwrite = overwrite
        beginning = target.name.encode()[:200].decode(errors="ignore")  # a name has 255 bytes
        self._part = target.with_name(f".{beginning}.{uuid.uuid4().hex}.part")
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._longest = 0
        self.size = 0
        """Bytes that it has."""
        self.total: int | None = None
        """Bytes of the whole file; None if not known."""
        self.etag = ""
        """Version of the file on the server."""

    def begin(self, answer: Answer) -> None:
        """Continue with the body of a response, or start again if it is the whole file."""
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        if answer.status == 206 and found and int(found[1]) == self.size:
            self.total = int(found[2])
            return
        if answer.status == 206:
            raise DownloadFailed("The server sent another part of the file than was asked for.")
        self._close()
        self._file = self._part.open("wb")
        self._digest = hashlib.sha256()
        self.size = 0
        length = answer.headers.get("content-length", "")
        coded = answer.headers.get("content-encoding", "identity") != "identity"
        self.total = int(length) if length.isdecimal() and not coded else None
        self.etag = answer.headers.get("etag", "")

    def write(self, data: bytes) -> bool:
        """Append what was received; returns whether the file was never so long before."""
        assert self._file is not None
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)
        longer = self.size > self._longest
        self._longest = max(self._longest, self.size)
        return longer

    def finish(self) -> Path:
        """Give it its name. Raises DownloadFailed if it is not what the server has, and
        FileExistsError if it must not replace what has its name."""
        if self.total is not None and self.size != self.total:
            raise DownloadFailed(f"The file has {self.size} bytes instead of {self.total}.")
        checksum = _SHA256.fullmatch(self.etag)
        if checksum and checksum[1] != self._digest.hexdigest():
            raise DownloadFailed("The file has another checksum than the server names.")
        self._close()
        if self._overwrite or not self._target.exists():
            self._part.replace(self._target)
        elif not self._is_target():
            raise FileExistsError(EEXIST, os.strerror(EEXIST), str(self._target))
        return self._target

    def _is_target(self) -> bool:
        """Whether the file that has the name is the same take."""
        if not self._target.is_file() or self._target.stat().st_size != self.size:
            return False
        with self._target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == self._digest.digest()

    def discard(self) -> None:
        """Remove it, unless it has its name already."""
        self._close()
        self._part.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def download(
    core: Core, job: JobView, directory: Path, names: str | Sequence[str], *, overwrite: bool
) -> Flow[list[Path]]:
    """See Job.download."""
    if job.result is None:
        job.update((yield from core.job(job.id)))
    check_success(job)
    if job.result is None:
        raise NotFound(f"The job is {job.status}; it has no takes yet.", code="audio_not_found")
    targets = [directory / name for name in take_names(job.id, job.result, names)]
    yield from work(lambda: directory.mkdir(parents=True, exist_ok=True))
    takes = list(zip(job.result.audio_paths, targets, strict=True))
    # First those that may be refused: then nothing was written.
    for path, target in sorted(takes, key=lambda take: not take[1].exists()):
        part = PartialFile(target, overwrite=overwrite)
        yield from _take(core, job, PurePosixPath(path).name, part)
    return targets


def take_names(job_id: str, result: Result, names: str | Sequence[str]) -> list[str]:
    """A file name for each take. Raises ValueError."""
    count = len(result.audio_paths)
    if isinstance(names, str):
        seeds = [*result.seed_value.split(","), *[""] * count]
        extensions = [PurePosixPath(path).suffix[1:] for path in result.audio_paths]
        try:
            found = [
                names.format(job_id=job_id, take=index + 1, ext=extension, seed=seeds[index])
                for index, extension in enumerate(extensions)
            ]
        except (LookupError, AttributeError) as error:
            raise ValueError(
                "names may contain {job_id}, {take}, {ext} and {seed} in braces, no others."
            ) from error
    else:
        found = list(names)
    if len(found) != count or len(set(found)) != count:
        raise ValueError(f"The job has {count} takes; names must be as many different ones.")
    for name in found:
        if Path(name).name != name or name in ("", ".", ".."):
            raise ValueError(f"{name!r} is not the name of a file.")
    return found


def _take(core: Core, job: JobView, name: str, part: PartialFile) -> Flow[Path]:
    tries = Tries(core.retries, core.retries.outage)
    try:
        while part.total is None or part.size < part.total:
            error: ApiError
            try:
                answer = yield from open_response(_request(job, name, part))
                if answer.status in (200, 206):
                    yield from _receive(part, answer, tries)
                    break
                error, temporary = error_of(answer), is_temporary(answer)
            except BROKEN as cause:
                error, temporary = core.not_reached(cause), is_cut(cause)
            yield Close()
            pause = tries.pause(error.retry_after) if temporary else None
            if pause is None:
                raise error
            yield Pause(pause)
        return (yield from work(part.finish))
    finally:
        part.discard()


def _request(job: JobView, name: str, part: PartialFile) -> Request:
    """For the whole take, or for the rest of it if it is still the same. Always at the address of
    this client, which has the API key, and not at the one that a result may name."""
    headers = {"Accept-Encoding": "identity"}
    if part.size and part.etag:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.etag}
    path = job_path(job.id).replace("/jobs/", "/audio/", 1)
    return Request("GET", f"{path}/{name}", headers=headers, follow_redirects=True)


def _receive(part: PartialFile, answer: Answer, tries: Tries) -> Flow[None]:
    yield from work(lambda: part.begin(answer))
    while (data := (yield from read_bytes())) is not None:
        received = data
        if (yield from work(lambda: part.write(received))):  # noqa: B023  (it runs at once)
            tries.succeeded()
    yield Close()
