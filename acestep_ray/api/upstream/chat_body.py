"""Reads the body of a chat completion: JSON that may hold audio files as base64.

The body goes to disk first. Then the audio is taken out of it and decoded into files, and only the
rest, which must be as small as any body without files, is parsed.
"""

import asyncio
import binascii
import hashlib
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.body import (
    chunks_below,
    fingerprint,
    parse_json,
    refuse_compressed,
)
from acestep_ray.api.request.content_type import Media, read_media
from acestep_ray.api.request.folder import Folder, no_room
from acestep_ray.api.request.multipart_parts import Upload
from acestep_ray.api.upstream.keyed_body import read_keyed
from acestep_ray.settings import Limits
from acestep_ray.shared_work import to_the_end

MOST_FILES = 8
"""Most audio files of a body; a job uses two of them at most."""
_WRITE_BYTES = 1 << 20
_NOT_IN_KEY = frozenset({"stream", "stream_options", BODY_KEY})
"""Fields that may differ when a request is repeated with its Idempotency-Key."""
_PREFIX = r"data:[\w/+.;=-]{0,100};base64,"
_LONG = re.compile(
    rb'(?P<name>"(?:data|url)"\s*:\s*)"(?:%s)?(?P<base64>[A-Za-z0-9+/=_\\-]{1000,})"'
    % _PREFIX.encode()
)
"""A member that is audio for sure. Anything shorter is parsed with the rest."""
_MARK = "audio of this request: "
_DATA_URL = re.compile(_PREFIX, re.IGNORECASE)


@dataclass(frozen=True)
class ChatBody:
    """``audio``: the files that members of ``fields`` refer to; see ``audio_of``. ``fingerprint``:
    digest of both."""

    fields: Mapping[str, object]
    audio: Mapping[str, Upload]
    fingerprint: str
    folder: Folder

    def audio_of(self, text: object) -> Upload:
        """The file that a member ``data`` or ``url`` holds. Raises Problem 400."""
        if isinstance(text, str) and text in self.audio:
            return self.audio[text]
        if not isinstance(text, str) or not (text := _DATA_URL.sub("", text.strip(), 1)):
            raise _not_base64()
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        return _decoded(text.encode("ascii", "replace"), self.folder / f"short-{digest}")


async def read_chat_body(request: Request, context: AppContext, folder: Folder) -> ChatBody:
    """Read the whole body; ``folder`` gets its files.

    Raises Problem: 401 without a valid key, whatever else is wrong; 400, 413, 415.
    """
    return await read_keyed(
        request, context, lambda limits: _read_within(limits, request, context, folder)
    )


async def _read_within(
    limits: Limits, request: Request, context: AppContext, folder: Folder
) -> ChatBody:
    media = read_media(request.headers.get("content-type"))
    refuse_compressed(request)
    file = folder / "body"
    await _save(request, file, limits.upload_bytes)
    large = file.stat().st_size > limits.text_bytes
    # Others may hold the slots for long, so only large bodies wait for one.
    async with context.sources.slot() if large else nullcontext():
        # If the client disconnects, the thread must end before its folder is removed.
        return await to_the_end(asyncio.to_thread(_read, file, media, folder, limits.text_bytes))


async def _save(request: Request, file: Path, most: int) -> None:
    too_large = Problem(
        ProblemCode.BODY_TOO_LARGE, f"The body is too large; at most {most:,} bytes are taken."
    )
    pending = bytearray()
    try:
        with file.open("wb") as out:
            async with aclosing(chunks_below(request, most, too_large)) as chunks:
                async for chunk in chunks:
                    pending += chunk
                    if len(pending) >= _WRITE_BYTES:
                        await asyncio.to_thread(out.write, bytes(pending))
                        pending.clear()
            out.write(pending)
    except OSError as error:
        raise no_room(error) from error


def _read(file: Path, media: Media, folder: Folder, most: int) -> ChatBody:
    audio: dict[str, Upload] = {}
    rest = bytearray()
    for piece in _pieces(file):
        if isinstance(piece, re.Match):
            if len(audio) == MOST_FILES:
                raise Problem(
                    ProblemCode.MALFORMED_BODY, f"The body has over {MOST_FILES} audio files."
                )
            mark = f"{_MARK}{len(audio)}"
            audio[mark] = _decoded(piece["base64"], folder / f"audio{len(audio)}")
            rest += piece["name"] + f'"{mark}"'.encode()
        else:
            rest += piece
        if len(rest) > most:
            raise Problem(
                ProblemCode.BODY_TOO_LARGE,
                f"The body is too large: without audio, at most {most:,} bytes are taken.",
            )
    file.unlink()
    fields = parse_json(media.decode(bytes(rest)))
    if not isinstance(fields, dict):
        raise Problem(ProblemCode.MALFORMED_BODY, "The body must be a JSON object.")
    asked = {name: value for name, value in fields.items() if name not in _NOT_IN_KEY}
    return ChatBody(fields, audio, fingerprint(asked, audio), folder)


def _pieces(file: Path) -> Iterator[bytes | re.Match[bytes]]:
    """The bytes of the file in order: audio as matches, and what stands between them, in parts."""
    if not file.stat().st_size:
        return
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = 0
        for match in _LONG.finditer(data):
            if match["base64"].endswith(b"\\"):
                continue  # the quote is part of a text
            yield from _parts(data, start, match.start())
            yield match
            start = match.end()
        yield from _parts(data, start, len(data))


def _parts(data: mmap.mmap, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _WRITE_BYTES):
        yield data[at : min(at + _WRITE_BYTES, end)]


def _decoded(text: bytes, path: Path) -> Upload:
    """Decode base64, with the line ends and slashes of JSON texts, and in either alphabet."""
    for escaped, plain in (
        (rb"\/", b"/"),
        (rb"\n", b""),
        (rb"\r", b""),
        (b"-", b"+"),
        (b"_", b"/"),
    ):
        if escaped in text:
            text = text.replace(escaped, plain)
    text = b"".join(text.split()).rstrip(b"=")
    try:
        data = binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        raise _not_base64() from None
    try:
        path.write_bytes(data)
    except OSError as error:
        raise no_room(error) from error
    return Upload(path, len(data), hashlib.sha256(data).hexdigest())


def _not_base64() -> Problem:
    return Problem(
        ProblemCode.MALFORMED_BODY, "An audio part's data is not base64, nor a data: URL of it."
    )
