"""Audio files that are sent with a request, and bodies that can be sent more than once."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

AudioFile = os.PathLike[str] | bytes | tuple[str, bytes] | BinaryIO
"""A ``Path``, the bytes of a file, a name and its bytes, or a file that is open in binary mode."""


class Body(Protocol):
    """The body of a request."""

    def arguments(self, files: ExitStack) -> dict[str, Any]:
        """The arguments of httpx2's ``build_request`` for one try. ``files`` closes what they
        hold."""
        ...


@dataclass(frozen=True)
class Upload:
    """A file to send: the bytes ``content`` or, if that is None, what is in ``path``, read again
    for each try."""

    name: str
    content: bytes | None = None
    path: Path | None = None

    def part(self, files: ExitStack) -> tuple[str, bytes | BinaryIO]:
        """Name and contents for one try. Raises OSError if the file cannot be opened."""
        if self.path is not None:
            return self.name, files.enter_context(self.path.open("rb"))
        return self.name, self.content or b""


@dataclass(frozen=True)
class JsonBody:
    """A JSON document."""

    content: bytes

    def arguments(self, files: ExitStack) -> dict[str, Any]:
        """See Body."""
        return {"content": self.content, "headers": {"Content-Type": "application/json"}}


@dataclass(frozen=True)
class FormBody:
    """A multipart form."""

    fields: Mapping[str, str]
    uploads: Mapping[str, Upload]

    def arguments(self, files: ExitStack) -> dict[str, Any]:
        """See Body."""
        parts = {name: upload.part(files) for name, upload in self.uploads.items()}
        return {"data": self.fields, "files": parts}


def upload_of(field: str, value: object) -> Upload:
    """The file that a user gave for a field. An open file is read from where it is to its end.

    Raises TypeError, and OSError.
    """
    if isinstance(value, os.PathLike):
        path = Path(value)
        path.stat()  # raises FileNotFoundError now, and not as a failure of the network
        return Upload(path.name, path=path)
    if isinstance(value, bytes | bytearray | memoryview):
        return Upload(field, bytes(value))
    if isinstance(value, tuple) and len(value) == 2:
        name, content = value
        if isinstance(name, str) and isinstance(content, bytes | bytearray | memoryview):
            return Upload(name, bytes(content))
    read = getattr(value, "read", None)
    content = read() if read else None
    if not isinstance(content, bytes):
        raise TypeError(
            f"{field} must be a Path, bytes, a tuple of a name and bytes, or a file that is open in"
            f" binary mode; it is {type(value).__name__!r}."
        )
    name = getattr(value, "name", field)
    return Upload(Path(name).name if isinstance(name, str) else field, content)
