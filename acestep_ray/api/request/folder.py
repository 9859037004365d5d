"""The folder of a request's files, made when the first file needs it: most requests have none."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from acestep_ray.api.problems import Problem, ProblemCode


class Folder(Protocol):
    """Where files are put: a RequestFolder, or a Path."""

    def __truediv__(self, name: str, /) -> Path:
        """The path of a file in it."""
        ...


class RequestFolder:
    """A temporary folder. Nothing is on disk until a path in it is asked for."""

    def __init__(self) -> None:
        self._made: TemporaryDirectory[str] | None = None

    def __truediv__(self, name: str, /) -> Path:
        """The path of a file in it. Raises Problem 503 if the folder cannot be made."""
        if self._made is None:
            try:
                self._made = TemporaryDirectory(
                    prefix="acestep-request-", ignore_cleanup_errors=True
                )
            except OSError as error:
                raise no_room(error) from error
        return Path(self._made.name) / name

    def remove(self) -> None:
        """Remove it with its files."""
        if self._made is not None:
            self._made.cleanup()


@contextmanager
def request_folder() -> Iterator[RequestFolder]:
    """A folder for the request's files, which is removed after the request."""
    folder = RequestFolder()
    try:
        yield folder
    finally:
        folder.remove()


def no_room(error: OSError) -> Problem:
    """The problem for a client if a file of its request cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "its disk is full" if full else "its disk fails"
    detail = f"The server cannot take files right now: {why}."
    return Problem(ProblemCode.STORAGE_UNAVAILABLE, detail, headers={"Retry-After": "5"})
